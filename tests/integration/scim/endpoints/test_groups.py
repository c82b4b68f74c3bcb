"""Groups of any size, and Entra's habit of sending one PATCH for each member, many at the same instant."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

from tests.builders.scim_client import ScimClient
from tests.builders.scim_members import add, many_users, remove


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


async def test_both_dialects_come_at_once_on_one_tenant(scim: ScimClient) -> None:
    """Issue 4: "both PATCH dialects at once on one tenant": of one connection's two jobs each has its own."""
    user = await scim.create_user("ida@northwind.example")
    members = await many_users(scim, 20)
    group = await scim.create_group("Everybody", *members[10:])
    person, crowd_path = f"/Users/{user['id']}", f"/Groups/{group['id']}"
    old = [(add(new), remove(gone)) for new, gone in zip(members[:5], members[10:15], strict=True)]
    new = [
        (
            {"op": "add", "path": "members", "value": [{"value": come}]},
            {"op": "remove", "path": f'members[value eq "{gone}"]'},
        )
        for come, gone in zip(members[5:10], members[15:], strict=True)
    ]
    replies = await asyncio.gather(
        *(scim.patch(crowd_path, each) for pair in (*old, *new) for each in pair),
        scim.patch(person, {"op": "Replace", "path": "active", "value": "False"}),
        scim.patch(person, {"op": "replace", "value": {"title": "Curator", "name.givenName": "Ida"}}),
        scim.patch(person, {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "+47 1"}),
    )
    assert {each.status for each in replies[:-3]} == {204}
    assert {each.status for each in replies[-3:]} == {200}
    assert await scim.member_ids(group["id"]) == set(members[:10])
    after = (await scim.get(person)).body
    assert (after["active"], after["title"], after["name"]["givenName"]) == (False, "Curator", "Ida")
    assert after["phoneNumbers"] == [{"type": "mobile", "value": "+47 1"}]


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


async def test_a_group_cannot_be_a_member_of_itself(scim: ScimClient) -> None:
    """RFC 7643 §4.2 has groups in groups, no more; the admin is told what to do, and nothing is half-done."""
    [member] = await many_users(scim, 1)
    group = await scim.create_group("Everybody", member)
    path, body = f"/Groups/{group['id']}", {"displayName": "All", "members": [{"value": group["id"]}]}
    replies = [
        await scim.patch(path, add(group["id"])),
        await scim.patch(path, {"op": "replace", "path": "members", "value": [{"value": group["id"]}]}),
        await scim.patch(path, {"op": "replace", "path": "displayName", "value": "All"}, add(group["id"])),
        await scim.put(path, body),
    ]
    for reply in replies:
        assert (reply.status, reply.body["scimType"]) == (400, "invalidValue")
        assert "Take it out of its own members in Entra" in reply.body["detail"]
    assert (await scim.get(path)).body == group
    assert (await scim.patch(path, remove(group["id"]))).status == 204, "a non-member leaves without harm"


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


async def test_members_come_in_the_shapes_of_every_provider(scim: ScimClient) -> None:
    """Each was refused, or emptied a group, by some server (SCIM-SDK#149, #167, segment#6726, AzureAD#20)."""
    ada, eve, ida = [(await scim.create_user(f"{name}@x.example"))["id"] for name in ("ada", "eve", "ida")]
    group = await scim.create_group("Crew", ada)
    steps: list[tuple[dict[str, Any], set[str]]] = [
        ({"op": "add", "value": {"members": [{"value": eve}]}}, {ada, eve}),  # Ping
        ({"op": "add", "path": "members", "value": {"value": ida}}, {ada, eve, ida}),
        ({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": ida}]}, {ada, eve}),  # Entra
        ({"op": "Remove", "path": "members", "value": {"value": eve}}, {ada}),
        ({"op": "add", "path": "members", "value": [{"displayName": "new", "value": eve}]}, {ada, eve}),
        ({"op": "remove", "path": f'members[value eq "{ada}"]'}, {eve}),  # Okta, Google
        ({"op": "replace", "value": {"members": [{"value": ida}]}}, {ida}),
        ({"op": "replace", "path": "members", "value": [{"value": ada, "display": "a"}]}, {ada}),  # JumpCloud
        ({"op": "replace", "value": {"id": group["id"], "displayName": "Crew 2"}}, {ada}),  # Okta's new name
        ({"op": "Replace", "path": "displayName", "value": [{"$ref": None, "value": "Crew 3"}]}, {ada}),
    ]
    for operation, members in steps:
        assert (await scim.patch(f"/Groups/{group['id']}", operation)).status == 204, operation
        assert await scim.member_ids(group["id"]) == members, operation
    assert (await scim.get(f"/Groups/{group['id']}")).body["displayName"] == "Crew 3"


async def test_a_group_is_found_by_a_name_with_every_sign(scim: ScimClient) -> None:
    """Entra allows such names; a filter on one was no filter (SCIM-SDK#913), or found nothing."""
    name = "TestGrp-!@#$%^&*()_+=-{}][\":;'/.,?\\1"
    group = await scim.create_group(name)
    asked = "displayName eq " + json.dumps(name)
    page = (await scim.get(f"/Groups?filter={quote(asked, safe='')}")).body
    assert [each["id"] for each in page["Resources"]] == [group["id"]]
