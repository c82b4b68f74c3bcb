"""Groups of any size, and Entra's habit of sending one PATCH for each member, many at the same instant."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from store import lifecycle
from store.records import AddMembers, Cause, CreateUser, GroupId, Origin
from tests.integration.scim.client import ScimClient


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


async def test_300_simultaneous_patches_of_one_group_all_take_effect(scim: ScimClient) -> None:
    """Captures: Entra sends a PATCH for each member, many in parallel; lost updates are why others fail."""
    users = await many_users(scim, 300)
    group = await scim.create_group("Everybody", *users[:100])
    path = f"/Groups/{group['id']}"
    gone, new = users[:100], users[100:]
    operations = [*(remove(each) for each in gone), *(add(each) for each in new)]
    replies = await asyncio.gather(*(scim.patch(path, each) for each in operations))
    assert {each.status for each in replies} == {204}
    assert await scim.member_ids(group["id"]) == set(new)


async def test_a_large_group_is_sent_whole_and_piece_by_piece(scim: ScimClient) -> None:
    """More members than are read at once, and more bytes than are held at once."""
    users = await many_users(scim, 5_200)
    group = await scim.create_group("Everybody")
    await fill(scim, group["id"], users)
    reply = await scim.get(f"/Groups/{group['id']}")
    assert reply.headers.get("Transfer-Encoding") == "chunked"
    assert reply.body["displayName"] == "Everybody"
    assert sorted(each["value"] for each in reply.body["members"]) == sorted(users)
    listed = (await scim.get("/Groups")).body["Resources"]
    assert listed == [reply.body]
    narrow = (await scim.get(f"/Groups/{group['id']}?attributes=members.value")).body
    assert set(narrow["members"][0]) == {"value"}


async def test_a_group_without_members_asked_for_never_looks_at_them(scim: ScimClient) -> None:
    [member] = await many_users(scim, 1)
    group = await scim.create_group("Everybody", member)
    for query in ("excludedAttributes=members", "attributes=displayName"):
        assert "members" not in (await scim.get(f"/Groups/{group['id']}?{query}")).body
        assert "members" not in (await scim.get(f"/Groups?{query}")).body["Resources"][0]


async def test_members_can_be_removed_by_other_filters(scim: ScimClient) -> None:
    """RFC 7644 §3.5.2.2: whatever the filter in the path selects."""
    first, second = await many_users(scim, 2)
    child = await scim.create_group("Interns")
    group = await scim.create_group("Everybody", first, second, child["id"])
    path = f"/Groups/{group['id']}"
    by_type = {"op": "remove", "path": 'members[type eq "Group"]'}
    assert (await scim.patch(path, by_type)).status == 204
    assert await scim.member_ids(group["id"]) == {first, second}
    either = {"op": "remove", "path": f'members[value eq "{first}" or value eq "nobody"]'}
    assert (await scim.patch(path, either)).status == 204
    assert await scim.member_ids(group["id"]) == {second}


async def test_replace_sets_the_members_and_remove_without_a_value_empties(scim: ScimClient) -> None:
    """RFC 7644 §3.5.2.2 and §3.5.2.3."""
    first, second = await many_users(scim, 2)
    group = await scim.create_group("Everybody", first)
    path = f"/Groups/{group['id']}"
    assert (
        await scim.patch(path, {"op": "replace", "path": "members", "value": [{"value": second}]})
    ).status == 204
    assert await scim.member_ids(group["id"]) == {second}
    path_less = {"op": "replace", "value": {"displayName": "All", "members": [{"value": first}]}}
    assert (await scim.patch(path, path_less)).status == 204
    assert await scim.member_ids(group["id"]) == {first}
    assert (await scim.patch(path, {"op": "remove", "path": "members"})).status == 204
    assert await scim.member_ids(group["id"]) == set()


async def test_a_patch_with_an_unknown_member_changes_nothing(scim: ScimClient) -> None:
    """RFC 7644 §3.5.2: a PATCH is atomic."""
    first, second = await many_users(scim, 2)
    group = await scim.create_group("Everybody", first)
    rename = {"op": "replace", "path": "displayName", "value": "All"}
    reply = await scim.patch(f"/Groups/{group['id']}", rename, remove(first), add(second), add("nobody"))
    assert reply.status == 400
    assert (await scim.get(f"/Groups/{group['id']}")).body == {**group, "members": group["members"]}


async def test_the_last_operation_on_a_member_wins(scim: ScimClient) -> None:
    """RFC 7644 §3.5.2: operations are applied sequentially in the order they appear."""
    first, second = await many_users(scim, 2)
    group = await scim.create_group("Everybody", first)
    path = f"/Groups/{group['id']}"
    assert (await scim.patch(path, remove(first), add(first), add(second), remove(second))).status == 204
    assert await scim.member_ids(group["id"]) == {first}
    rename = {"op": "replace", "path": "displayName", "value": "All"}
    assert (await scim.patch(path, rename, remove(first), add(first))).status == 204
    assert await scim.member_ids(group["id"]) == {first}
    replace = {"op": "replace", "path": "members", "value": []}
    assert (await scim.patch(path, add(first), replace, add(second), add(first), remove(first))).status == 204
    assert await scim.member_ids(group["id"]) == {second}
