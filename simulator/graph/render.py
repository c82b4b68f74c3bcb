"""Directory objects as Graph's JSON, one fragment of bytes per object."""

from collections.abc import Callable, Mapping, Sequence

import orjson

from simulator.clock import graph_time
from simulator.directory import Directory
from simulator.graph.limits import EXPANDED_MEMBERS
from simulator.graph.query import Expand
from simulator.graph.schema import ASSIGNMENT, GROUP, OTHERS, USER, Schema
from simulator.graph.visibility import Roles, hides_members, may_read, shown_properties
from simulator.objects import Assignment, DirGroup, DirUser, JsonValue


def project(
    object_id: str, properties: Mapping[str, JsonValue], schema: Schema, select: Sequence[str] | None
) -> dict[str, JsonValue]:
    """Return the asked (or default) properties in that order; what has no value is null
    or an empty list.
    """
    names = schema.default if select is None else select
    shown: dict[str, JsonValue] = {}
    for name in names:
        value = properties.get(name)
        shown[name] = schema.empty(name) if value is None else value
    if "id" in shown:
        shown["id"] = object_id
    return shown


def user_document(
    directory: Directory,
    user: DirUser,
    roles: Roles,
    select: Sequence[str] | None,
    expand: Expand | None = None,
) -> dict[str, JsonValue]:
    """Render a user as a token sees it, with the manager if asked."""
    shown = project(user.id, shown_properties(user.properties, "user", roles), USER, select)
    # An expanded object without manager simply lacks the key (graph-api, users).
    if expand and expand.relation == "manager" and user.manager_id in directory.users:
        manager = directory.users[user.manager_id]
        seen = shown_properties(manager.properties, "user", roles)
        shown["manager"] = typed("user", project(manager.id, seen, USER, expand.select))
    return shown


def group_document(
    directory: Directory,
    group: DirGroup,
    roles: Roles,
    select: Sequence[str] | None,
    expand: Expand | None = None,
) -> dict[str, JsonValue]:
    """Render a group as a token sees it, with its first members if asked."""
    shown = project(group.id, shown_properties(group.properties, "group", roles), GROUP, select)
    if expand and expand.relation == "members":
        members = [] if hides_members(group, roles) else directory.live_members(group.id)
        shown["members"] = [
            mixed_document(directory, member, roles, expand.select) for member in members[:EXPANDED_MEMBERS]
        ]
    return shown


def user_renderer(
    directory: Directory, roles: Roles, select: Sequence[str] | None, expand: Expand | None = None
) -> Callable[[DirUser], bytes]:
    """Return the function that renders a user of a list."""
    if expand is None and may_read(roles, "user"):  # the bulk of all work
        return lambda user: orjson.dumps(project(user.id, user.properties, USER, select))
    return lambda user: orjson.dumps(user_document(directory, user, roles, select, expand))


def group_renderer(
    directory: Directory, roles: Roles, select: Sequence[str] | None, expand: Expand | None = None
) -> Callable[[DirGroup], bytes]:
    """Return the function that renders a group of a list."""
    return lambda group: orjson.dumps(group_document(directory, group, roles, select, expand))


def mixed_document(
    directory: Directory, object_id: str, roles: Roles, select: Sequence[str] | None
) -> dict[str, JsonValue]:
    """Render a live object of a mixed list: type, id, the asked properties its type
    has.
    """
    kind, schema, properties = _typed_object(directory, object_id)
    asked = None if select is None else [n for n in dict.fromkeys(("id", *select)) if n in schema.known]
    return typed(kind, project(object_id, shown_properties(properties, kind, roles), schema, asked))


def _typed_object(directory: Directory, object_id: str) -> tuple[str, Schema, Mapping[str, JsonValue]]:
    if object_id in directory.users:
        return "user", USER, directory.users[object_id].properties
    if object_id in directory.groups:
        return "group", GROUP, directory.groups[object_id].properties
    other = directory.others[object_id]
    return other.kind, OTHERS[other.kind], other.properties


def typed(type_name: str, document: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {"@odata.type": f"#microsoft.graph.{type_name}", **document}


def principal_of(directory: Directory, assignment: Assignment) -> DirUser | DirGroup | None:
    """Return who has an assignment, looked for in the recycle bin too."""
    principal_id = assignment.principal_id
    if principal_id in directory.deleted_users:
        return directory.deleted_users[principal_id].item
    if principal_id in directory.deleted_groups:
        return directory.deleted_groups[principal_id].item
    return directory.users.get(principal_id) or directory.groups.get(principal_id)


def assignment_document(
    directory: Directory, assignment: Assignment, select: Sequence[str] | None
) -> dict[str, JsonValue]:
    """Render one app role assignment; a principal has one for each role."""
    principal = principal_of(directory, assignment)
    properties: dict[str, JsonValue] = {
        "appRoleId": assignment.app_role_id,
        "createdDateTime": graph_time(assignment.created),
        "principalDisplayName": principal.text("displayName") if principal else None,
        "principalId": assignment.principal_id,
        "principalType": assignment.principal_type,
        "resourceDisplayName": directory.app_display_name,
        "resourceId": directory.service_principal_id,
    }
    return project(assignment.id, properties, ASSIGNMENT, select)
