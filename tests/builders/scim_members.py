"""Members of a group: many at once beside HTTP, and one at a time as Entra sends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from store import lifecycle
from store.records import AddMembers, Cause, CreateUser, GroupId, Origin
from tests.builders.scim_client import ScimClient


async def many_users(scim: ScimClient, number: int) -> list[str]:
    """Create users beside HTTP, where the point is not how they came."""
    connection, cause = scim.connection, Cause(Origin.SCIM, "setup")
    commands = [CreateUser({"userName": f"u{each:05}@northwind.example"}) for each in range(number)]
    outcomes = await lifecycle.perform(scim.database, connection.tenant_id, connection.id, commands, cause)
    return [each.record.id for each in outcomes if each.record]


async def fill(scim: ScimClient, group_id: str, members: Sequence[str]) -> None:
    connection, cause = scim.connection, Cause(Origin.SCIM, "setup")
    command = AddMembers(GroupId(group_id), tuple(members))
    await lifecycle.perform(scim.database, connection.tenant_id, connection.id, [command], cause)


def add(member_id: str) -> dict[str, Any]:
    return {"op": "Add", "path": "members", "value": [{"$ref": None, "value": member_id}]}


def remove(member_id: str) -> dict[str, Any]:
    return {"op": "Remove", "path": "members", "value": [{"value": member_id}]}
