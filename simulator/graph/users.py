"""`/users`: the list, one user, the manager, what a user is a member of and assigned
to.
"""

import re
from collections.abc import Sequence
from datetime import timedelta

from simulator.clock import graph_time
from simulator.graph.call import Call
from simulator.graph.filters import parse_filter
from simulator.graph.limits import MOST_CHECKED_GROUPS
from simulator.graph.members import assignment_listing, listed_groups, listed_objects
from simulator.graph.paging import Listing, count_response, list_response
from simulator.graph.query import Options, read_options, require_index
from simulator.graph.render import mixed_document, user_document, user_renderer
from simulator.graph.schema import ASSIGNMENT, MIXED, USER
from simulator.graph.visibility import without_hidden
from simulator.graph.wire import GraphRequest, GraphResponse, bad_request, json_response, not_found
from simulator.objects import Assignment, DirUser, JsonValue


def find(call: Call) -> DirUser:
    """Return the live user of an address: an id or a userPrincipalName.

    `/users/$x` breaks OData's URL convention and is a 400; a userPrincipalName that
    begins with `$` has to be quoted: `/users('$x')` (user-get).
    """
    reference = call.argument("user")
    if reference.startswith("$") and not call.request.has_quoted_key:
        raise bad_request(f"Resource not found for the segment '{reference}'.", "BadRequest")
    user = call.directory.find_user(reference)
    if user is None:
        raise not_found(reference)
    return user


def list_users(call: Call) -> GraphResponse:
    options = read_options(call.request, USER)
    return list_response(call, options, _listing(call, options))


def count_users(call: Call) -> GraphResponse:
    options = read_options(call.request, USER)
    return count_response(call, options, _listing(call, options))


def _listing(call: Call, options: Options) -> Listing[DirUser]:
    keys: Sequence[int]
    users: Sequence[DirUser]
    keys, users = call.tenant.users()
    if options.filter is not None and (wanted := _BY_ID.fullmatch(options.filter.strip())):
        keys, users = _with_ids(call, wanted[1])
    return Listing(
        keys=keys,
        items=users,
        properties=lambda user: {"id": user.id, **user.properties},
        render=user_renderer(call.directory, call.request.roles, options.select, options.expand),
        context=list_context("users", options.select),
    )


_BY_ID = re.compile(r"id in \(([^()]*)\)")


def _with_ids(call: Call, listed: str) -> tuple[Sequence[int], Sequence[DirUser]]:
    """Return the users of a list of ids, without a search through all users."""
    parse_filter(f"id in ({listed})", is_by_index=call.request.is_advanced)
    ids = dict.fromkeys(text.strip().strip("'").lower() for text in listed.split(","))
    found = [call.directory.users[one] for one in ids if one in call.directory.users]
    return range(len(found)), found


def list_context(collection: str, select: tuple[str, ...] | None) -> str:
    return collection if select is None else f"{collection}({','.join(select)})"


def get_user(call: Call) -> GraphResponse:
    options = read_options(call.request, USER)
    user, roles = find(call), call.request.roles
    shown = user_document(call.directory, user, roles, options.select, options.expand)
    return _entity(call.request, list_context("users", options.select), shown)


def _entity(request: GraphRequest, context: str, shown: dict[str, JsonValue]) -> GraphResponse:
    whole = {"@odata.context": f"{request.base_url}/$metadata#{context}/$entity", **shown}
    return json_response(whole, cacheable=True)


def get_manager(call: Call) -> GraphResponse:
    user = find(call)
    if user.manager_id not in call.directory.users:
        raise not_found("manager")
    options = read_options(call.request, USER)
    manager = mixed_document(call.directory, user.manager_id, call.request.roles, options.select)
    return _entity(call.request, "directoryObjects", manager)


def list_direct_reports(call: Call) -> GraphResponse:
    user = find(call)
    _, users = call.tenant.users()
    return listed_objects(call, [report.id for report in users if report.manager_id == user.id])


def list_member_of(call: Call) -> GraphResponse:
    return listed_objects(call, visible_groups_of(call, find(call).id))


def list_member_of_groups(call: Call) -> GraphResponse:
    require_index(call.request, "a cast")
    return listed_groups(call, visible_groups_of(call, find(call).id))


def list_transitive_member_of(call: Call) -> GraphResponse:
    return listed_objects(call, visible_groups_of(call, find(call).id, transitive=True))


def list_transitive_member_of_groups(call: Call) -> GraphResponse:
    require_index(call.request, "a cast")
    return listed_groups(call, visible_groups_of(call, find(call).id, transitive=True))


def visible_groups_of(call: Call, member_id: str, *, transitive: bool = False) -> list[str]:
    """Return the groups above an object, each once, that the token may know of.

    `transitive`: also those above these groups. Through a group whose memberships are
    hidden nothing further is found.
    """
    directory, roles = call.directory, call.request.roles
    found: dict[str, None] = {}
    level = [member_id]
    while level:
        above = [group_id for member in level for group_id in directory.groups_of(member)]
        seen = without_hidden(above, directory.groups, roles)
        level = [group_id for group_id in dict.fromkeys(seen) if group_id not in found]
        found.update(dict.fromkeys(level))
        if not transitive:
            break
    return list(found)


def list_app_role_assignments(call: Call) -> GraphResponse:
    """Return the roles of a user and of the groups the user is a direct member of
    (user-list- approleassignments).
    """
    user = find(call)
    held = [
        a
        for p in (user.id, *call.directory.groups_of(user.id))
        for a in call.directory.assignments.get(p, [])
    ]
    options = read_options(call.request, ASSIGNMENT)
    context = f"users('{call.argument('user')}')/appRoleAssignments"
    return list_response(
        call, options, assignment_listing(call.directory, _shown_roles(call, held), options, context)
    )


def _shown_roles(call: Call, held: list[Assignment]) -> list[Assignment]:
    """Leave out what the index does not know yet, or what is too much for the plain
    list.
    """
    behaviour = call.tenant.behaviour
    if call.request.is_advanced:
        known_since = call.directory.clock.now() - timedelta(seconds=behaviour.index_lag_s)
        return [a for a in held if a.created <= known_since]
    in_order = sorted(held, key=lambda assignment: assignment.ordinal)
    return in_order[: behaviour.longest_role_list or None]


def check_member_groups(call: Call) -> GraphResponse:
    """Return which of at most 20 given groups a user is in, also through other
    groups."""
    wanted = call.request.json().get("groupIds")
    if not isinstance(wanted, list) or len(wanted) > MOST_CHECKED_GROUPS:
        raise bad_request("The groupIds parameter must hold between 1 and 20 ids.")
    mine = set(visible_groups_of(call, find(call).id, transitive=True))
    return string_list(call, [group for group in wanted if group in mine])


def get_member_groups(call: Call) -> GraphResponse:
    groups = call.directory.groups
    only_security = call.request.json().get("securityEnabledOnly") is True
    mine = visible_groups_of(call, find(call).id, transitive=True)
    return string_list(
        call, [g for g in mine if not only_security or groups[g].properties.get("securityEnabled")]
    )


def string_list(call: Call, values: list[str]) -> GraphResponse:
    context = f"{call.request.base_url}/$metadata#Collection(Edm.String)"
    return json_response({"@odata.context": context, "value": values})


def revoke_sign_in_sessions(call: Call) -> GraphResponse:
    """Answer 200 with a boolean: documented is 204, but this is what comes (known
    issue).
    """
    moment = graph_time(call.directory.clock.now())
    call.directory.change_user(find(call).id, {"signInSessionsValidFromDateTime": moment})
    return json_response({"@odata.context": f"{call.request.base_url}/$metadata#Edm.Boolean", "value": True})


def get_mixed(call: Call) -> GraphResponse:
    """`/directoryObjects/{id}`: a user or a group, with its type."""
    object_id = call.argument("object")
    if not call.directory.exists(object_id):
        raise not_found(object_id)
    select = read_options(call.request, MIXED).select
    shown = mixed_document(call.directory, object_id, call.request.roles, select)
    return _entity(call.request, "directoryObjects", shown)
