"""Lists of members and memberships, mixed as they are or cast to one type through the
index; and of assignments, from either end.
"""

from collections.abc import Sequence
from datetime import timedelta

import orjson

from simulator.directory import Directory
from simulator.graph.call import Call
from simulator.graph.paging import Listing, list_response
from simulator.graph.query import Options, read_options
from simulator.graph.render import assignment_document, group_renderer, mixed_document, user_renderer
from simulator.graph.schema import GROUP, MIXED, USER
from simulator.graph.wire import GraphResponse
from simulator.objects import Assignment, DirGroup, DirObject, DirUser


def listed_objects(call: Call, object_ids: Sequence[str], keys: Sequence[int] | None = None) -> GraphResponse:
    """Answer live objects of mixed types."""
    options = read_options(call.request, MIXED)
    return list_response(call, options, mixed_listing(call, object_ids, keys, options.select))


def mixed_listing(
    call: Call, object_ids: Sequence[str], keys: Sequence[int] | None, select: tuple[str, ...] | None
) -> Listing[str]:
    directory, roles = call.directory, call.request.roles
    return Listing(
        keys=range(len(object_ids)) if keys is None else keys,
        items=object_ids,
        properties=lambda object_id: _found(directory, object_id).properties,
        render=lambda object_id: orjson.dumps(mixed_document(directory, object_id, roles, select)),
        context="directoryObjects",
    )


def _found(directory: Directory, object_id: str) -> DirUser | DirGroup | DirObject:
    return directory.users.get(object_id) or directory.groups.get(object_id) or directory.others[object_id]


def listed_users(call: Call, user_ids: Sequence[str], keys: Sequence[int] | None = None) -> GraphResponse:
    """Answer live users of a cast list."""
    options = read_options(call.request, USER)
    return list_response(call, options, user_listing(call, user_ids, keys))


def user_listing(call: Call, user_ids: Sequence[str], keys: Sequence[int] | None) -> Listing[DirUser]:
    options = read_options(call.request, USER)
    select = options.select
    return Listing(
        keys=range(len(user_ids)) if keys is None else keys,
        items=[call.directory.users[user_id] for user_id in user_ids],
        properties=lambda user: {"id": user.id, **user.properties},
        render=user_renderer(call.directory, call.request.roles, select, options.expand),
        context="users" if select is None else f"users({','.join(select)})",
    )


def listed_groups(call: Call, group_ids: Sequence[str], keys: Sequence[int] | None = None) -> GraphResponse:
    """Answer live groups of a cast list."""
    options = read_options(call.request, GROUP)
    return list_response(call, options, group_listing(call, group_ids, keys))


def group_listing(call: Call, group_ids: Sequence[str], keys: Sequence[int] | None) -> Listing[DirGroup]:
    options = read_options(call.request, GROUP)
    select = options.select
    return Listing(
        keys=range(len(group_ids)) if keys is None else keys,
        items=[call.directory.groups[group_id] for group_id in group_ids],
        properties=lambda group: {"id": group.id, **group.properties},
        render=group_renderer(call.directory, call.request.roles, select, options.expand),
        context="groups" if select is None else f"groups({','.join(select)})",
    )


def too_young_for_index(call: Call, group_id: str) -> frozenset[str]:
    """Return the members who joined so lately that the index does not know them
    (`index_lag_s`).
    """
    lag_s = call.tenant.behaviour.index_lag_s
    if not lag_s or not call.request.is_advanced:
        return frozenset()
    since = call.directory.clock.now() - timedelta(seconds=lag_s)
    return frozenset(
        event.related_id
        for event in call.directory.changes_since(0)
        if event.kind == "member_added"
        and event.object_id == group_id
        and event.at > since
        and event.related_id
    )


def assignment_listing(
    directory: Directory, held: Sequence[Assignment], options: Options, context: str
) -> Listing[Assignment]:
    """Describe a list of assignments in the order in which they were made."""
    held = sorted(held, key=lambda assignment: assignment.ordinal)
    return Listing(
        keys=[assignment.ordinal for assignment in held],
        items=held,
        properties=lambda assignment: assignment_document(directory, assignment, None),
        render=lambda assignment: orjson.dumps(assignment_document(directory, assignment, options.select)),
        context=context,
    )
