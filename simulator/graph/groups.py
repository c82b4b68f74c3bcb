"""`/groups`: the list, one group, and its direct or transitive members, mixed or
cast."""

from simulator.directory import Directory
from simulator.graph.call import Call
from simulator.graph.members import (
    assignment_listing,
    group_listing,
    listed_groups,
    listed_objects,
    listed_users,
    mixed_listing,
    too_young_for_index,
    user_listing,
)
from simulator.graph.paging import Listing, count_response, list_response
from simulator.graph.query import Options, read_options, require_index
from simulator.graph.render import group_document, group_renderer
from simulator.graph.schema import ASSIGNMENT, GROUP, MIXED, USER
from simulator.graph.users import list_context, visible_groups_of
from simulator.graph.visibility import hidden_groups, hides_members
from simulator.graph.wire import GraphResponse, json_response, not_found
from simulator.objects import DirGroup


def find(call: Call) -> DirGroup:
    """Find the live group an address names."""
    group = call.directory.groups.get(call.argument("group"))
    if group is None:
        raise not_found(call.argument("group"))
    return group


def list_groups(call: Call) -> GraphResponse:
    options = read_options(call.request, GROUP)
    return list_response(call, options, _listing(call, options))


def count_groups(call: Call) -> GraphResponse:
    options = read_options(call.request, GROUP)
    return count_response(call, options, _listing(call, options))


def _listing(call: Call, options: Options) -> Listing[DirGroup]:
    keys, groups = call.tenant.groups()
    return Listing(
        keys=keys,
        items=groups,
        properties=lambda group: {"id": group.id, **group.properties},
        render=group_renderer(call.directory, call.request.roles, options.select, options.expand),
        context=list_context("groups", options.select),
    )


def get_group(call: Call) -> GraphResponse:
    group = find(call)
    options = read_options(call.request, GROUP)
    context = f"{call.request.base_url}/$metadata#{list_context('groups', options.select)}/$entity"
    shown = group_document(call.directory, group, call.request.roles, options.select, options.expand)
    return json_response({"@odata.context": context, **shown}, cacheable=True)


def _members(call: Call, kind: str | None) -> tuple[list[str], list[int] | None]:
    """Return the members an address asks for, with cursor keys where the order is that
    of joining.
    """
    group = find(call)
    directory = call.directory
    young = too_young_for_index(call, group.id)
    transitive = call.argument("relation") == "transitiveMembers"
    if transitive:
        unread = hidden_groups(directory.groups, call.request.roles)
        members = directory.transitive_members(group.id, unread=unread)
    else:
        hidden = hides_members(group, call.request.roles)
        members = [] if hidden else directory.live_members(group.id)
    members = [m for m in members if m not in young and _is_of(directory, m, kind)]
    if transitive:
        places = {member: _place(directory, member) for member in members}
        members.sort(key=lambda member: places[member])
        return members, [places[member] for member in members]
    return members, [group.member_ids[member] for member in members]


def _is_of(directory: Directory, member_id: str, kind: str | None) -> bool:
    if kind is None:
        return True
    if kind in {"user", "group"}:
        return member_id in (directory.users if kind == "user" else directory.groups)
    return member_id in directory.others and directory.others[member_id].kind == kind


def _place(directory: Directory, member_id: str) -> int:
    found = directory.users.get(member_id) or directory.groups.get(member_id) or directory.others[member_id]
    return found.ordinal


def list_members(call: Call) -> GraphResponse:
    return listed_objects(call, *_members(call, None))


def count_members(call: Call) -> GraphResponse:
    options = read_options(call.request, MIXED)
    return count_response(call, options, mixed_listing(call, *_members(call, None), options.select))


def list_user_members(call: Call) -> GraphResponse:
    require_index(call.request, "a cast")
    return listed_users(call, *_members(call, "user"))


def count_user_members(call: Call) -> GraphResponse:
    return count_response(call, read_options(call.request, USER), user_listing(call, *_members(call, "user")))


def list_group_members(call: Call) -> GraphResponse:
    require_index(call.request, "a cast")
    return listed_groups(call, *_members(call, "group"))


def count_group_members(call: Call) -> GraphResponse:
    return count_response(
        call, read_options(call.request, GROUP), group_listing(call, *_members(call, "group"))
    )


def list_other_members(call: Call) -> GraphResponse:
    """Answer a cast to devices, contacts, service principals, or a type it has none
    of."""
    require_index(call.request, "a cast")
    return listed_objects(call, *_members(call, call.argument("cast")))


def list_member_of(call: Call) -> GraphResponse:
    return listed_objects(call, visible_groups_of(call, find(call).id))


def list_transitive_member_of(call: Call) -> GraphResponse:
    return listed_objects(call, visible_groups_of(call, find(call).id, transitive=True))


def list_app_role_assignments(call: Call) -> GraphResponse:
    group = find(call)
    options = read_options(call.request, ASSIGNMENT)
    held = call.directory.assignments.get(group.id, [])
    context = f"groups('{group.id}')/appRoleAssignments"
    return list_response(call, options, assignment_listing(call.directory, held, options, context))
