"""`/directory/deletedItems`: what was deleted in the last 30 days and can come back;
and `/directoryObjects`: many objects by id in one call.
"""

from collections.abc import Mapping
from typing import TypeVar

import orjson

from simulator.clock import graph_time
from simulator.directory import Directory
from simulator.graph.call import Call
from simulator.graph.limits import MOST_IDS
from simulator.graph.paging import Listing, count_response, list_response, plain_list
from simulator.graph.query import Options, read_options, require_index
from simulator.graph.render import mixed_document, project, typed
from simulator.graph.schema import GROUP, MIXED, USER, Schema
from simulator.graph.users import list_context
from simulator.graph.visibility import DIRECTORY, READERS, Roles
from simulator.graph.wire import (
    GraphError,
    GraphResponse,
    bad_request,
    json_response,
    not_found,
    request_denied,
)
from simulator.objects import Conflict, Deleted, DirGroup, DirUser, JsonValue

Item = TypeVar("Item", DirUser, DirGroup)

DELETED_USERS: Roles = READERS["user"]
DELETED_GROUPS: Roles = DIRECTORY | {"Group.Read.All", "Group.ReadWrite.All"}
"""`GroupMember.Read.All`, which is enough for a live group, is not enough here."""


def list_without_cast(call: Call) -> GraphResponse:
    """Refuse: the type cast is required (directory deleted items list)."""
    raise bad_request("The deletedItems collection needs a type cast, as in .../microsoft.graph.user.")


def list_deleted_users(call: Call) -> GraphResponse:
    return list_response(call, _options(call, USER), _listing(call, USER, call.directory.deleted_users))


def count_deleted_users(call: Call) -> GraphResponse:
    return count_response(call, _options(call, USER), _listing(call, USER, call.directory.deleted_users))


def list_deleted_groups(call: Call) -> GraphResponse:
    return list_response(call, _options(call, GROUP), _listing(call, GROUP, call.directory.deleted_groups))


def count_deleted_groups(call: Call) -> GraphResponse:
    return count_response(call, _options(call, GROUP), _listing(call, GROUP, call.directory.deleted_groups))


def _options(call: Call, schema: Schema) -> Options:
    options = read_options(call.request, schema)
    if options.order_by is not None:
        require_index(call.request, "$orderby")
    return options


def _listing(call: Call, schema: Schema, held: Mapping[str, Deleted[Item]]) -> Listing[Deleted[Item]]:
    select = read_options(call.request, schema).select
    return Listing(
        keys=range(len(held)),
        items=list(held.values()),
        properties=lambda deleted: _document(deleted, schema, (*schema.default, "id", "deletedDateTime")),
        render=lambda deleted: orjson.dumps(_document(deleted, schema, select)),
        context=list_context(schema.collection, select),
    )


def _document(deleted: Deleted[Item], schema: Schema, select: tuple[str, ...] | None) -> dict[str, JsonValue]:
    properties = {**deleted.item.properties, "deletedDateTime": graph_time(deleted.deleted_at)}
    names = select if select is not None else tuple(dict.fromkeys((*schema.default, "deletedDateTime")))
    return project(deleted.item.id, properties, schema, names)


def get_deleted(call: Call) -> GraphResponse:
    object_id = call.argument("object")
    select = read_options(call.request, MIXED).select
    directory = call.directory
    context = f"{call.request.base_url}/$metadata#directoryObjects/$entity"
    if object_id in directory.deleted_users:
        _require(call, DELETED_USERS)
        shown = typed("user", _document(directory.deleted_users[object_id], USER, select))
    elif object_id in directory.deleted_groups:
        _require(call, DELETED_GROUPS)
        shown = typed("group", _document(directory.deleted_groups[object_id], GROUP, select))
    else:
        raise not_found(object_id)
    return json_response({"@odata.context": context, **shown}, cacheable=True)


def _require(call: Call, permissions: Roles) -> None:
    """Refuse an object of a type that the token may not read
    (directory-deleteditems-get).
    """
    if not permissions & call.request.roles:
        raise request_denied()


def restore(call: Call) -> GraphResponse:
    object_id = call.argument("object")
    directory = call.directory
    if object_id in directory.deleted_groups:
        group = directory.restore_group(object_id)
        return json_response(typed("group", project(group.id, group.properties, GROUP, None)))
    if object_id not in directory.deleted_users:
        raise not_found(object_id)
    try:
        user = directory.restore_user(object_id)
    except Conflict as conflict:
        raise GraphError(409, "Conflict", str(conflict)) from None
    return json_response(typed("user", project(user.id, user.properties, USER, None)))


def purge(call: Call) -> GraphResponse:
    object_id = call.argument("object")
    if object_id in call.directory.deleted_users:
        call.directory.purge_user(object_id)
    elif object_id in call.directory.deleted_groups:
        call.directory.purge_group(object_id)
    else:
        raise not_found(object_id)
    return GraphResponse(204)


def _type_of(directory: Directory, object_id: str) -> str | None:
    if object_id in directory.users:
        return "user"
    if object_id in directory.groups:
        return "group"
    return directory.others[object_id].kind if object_id in directory.others else None


def get_by_ids(call: Call) -> GraphResponse:
    """Answer the live objects among at most 1000 ids; unknown ones are silently left
    out.
    """
    wanted = call.request.json()
    ids, types = wanted.get("ids"), wanted.get("types") or ["user", "group"]
    if not isinstance(ids, list) or not ids:
        raise bad_request("The ids parameter must hold at least one id.")
    if len(ids) > MOST_IDS:
        raise bad_request(f"Too many ids: {len(ids)}. The largest number is {MOST_IDS}.")
    directory = call.directory
    select = read_options(call.request, MIXED).select
    found = [
        object_id
        for object_id in dict.fromkeys(str(each) for each in ids)
        if _type_of(directory, object_id) in types
    ]
    return plain_list(
        call,
        "directoryObjects",
        [mixed_document(directory, each, call.request.roles, select) for each in found],
    )
