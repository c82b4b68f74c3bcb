"""Directory objects as Graph's JSON, one fragment of bytes per object."""

from collections.abc import Callable, Mapping, Sequence

import orjson

from simulator.clock import graph_time
from simulator.directory import Directory
from simulator.graph.query import Expand
from simulator.graph.schema import ASSIGNMENT, GROUP, USER, Schema
from simulator.objects import Assignment, DirGroup, DirUser, JsonValue

EXPANDED_MEMBERS = 20
"""`$expand=members` gives no more than 20 and no next link: a trap of the real API."""


def project(
    object_id: str, properties: Mapping[str, JsonValue], schema: Schema, select: Sequence[str] | None
) -> dict[str, JsonValue]:
    """Give the asked (or default) properties in that order; what has no value is null or an empty list."""
    names = schema.default if select is None else select
    shown: dict[str, JsonValue] = {}
    for name in names:
        value = properties.get(name)
        shown[name] = schema.empty(name) if value is None else value
    if "id" in shown:
        shown["id"] = object_id
    return shown


def user_document(
    directory: Directory, user: DirUser, select: Sequence[str] | None, expand: Expand | None = None
) -> dict[str, JsonValue]:
    """Render a user, with the manager if asked."""
    shown = project(user.id, user.properties, USER, select)
    # An expanded object without manager simply lacks the key (graph-api, users).
    if expand and expand.relation == "manager" and user.manager_id in directory.users:
        manager = directory.users[user.manager_id]
        shown["manager"] = typed("user", project(manager.id, manager.properties, USER, expand.select))
    return shown


def group_document(
    directory: Directory, group: DirGroup, select: Sequence[str] | None, expand: Expand | None = None
) -> dict[str, JsonValue]:
    """Render a group, with its first members if asked."""
    shown = project(group.id, group.properties, GROUP, select)
    if expand and expand.relation == "members":
        members = directory.live_members(group.id)[:EXPANDED_MEMBERS]
        shown["members"] = [mixed_document(directory, member, expand.select) for member in members]
    return shown


def user_renderer(
    directory: Directory, select: Sequence[str] | None, expand: Expand | None = None
) -> Callable[[DirUser], bytes]:
    """Give the function that renders a user of a list."""
    if expand is None:  # the bulk of all work: a list of users without relations
        return lambda user: orjson.dumps(project(user.id, user.properties, USER, select))
    return lambda user: orjson.dumps(user_document(directory, user, select, expand))


def group_renderer(
    directory: Directory, select: Sequence[str] | None, expand: Expand | None = None
) -> Callable[[DirGroup], bytes]:
    """Give the function that renders a group of a list."""
    return lambda group: orjson.dumps(group_document(directory, group, select, expand))


def mixed_document(
    directory: Directory, object_id: str, select: Sequence[str] | None
) -> dict[str, JsonValue]:
    """Render a live user or group of a mixed list: type, id, and the asked properties its type has."""
    schema = USER if object_id in directory.users else GROUP
    asked = None if select is None else [n for n in dict.fromkeys(("id", *select)) if n in schema.known]
    if object_id in directory.users:
        return typed("user", user_document(directory, directory.users[object_id], asked))
    return typed("group", group_document(directory, directory.groups[object_id], asked))


def typed(type_name: str, document: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {"@odata.type": f"#microsoft.graph.{type_name}", **document}


def assignment_document(
    directory: Directory, assignment: Assignment, select: Sequence[str] | None
) -> dict[str, JsonValue]:
    """Render one app role assignment; a principal has one for each role."""
    principal = directory.users.get(assignment.principal_id) or directory.groups.get(assignment.principal_id)
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
