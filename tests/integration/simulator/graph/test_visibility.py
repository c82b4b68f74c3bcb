"""What a token shows of an object: permissions by type, hidden memberships, null states."""

from collections.abc import AsyncIterator, Sequence

import pytest

from tests.builders.simulator.client import INDEX, SimulatorClient, simulator_client

NO_DIRECTORY = ("Application.Read.All", "GroupMember.Read.All", "User.Read.All")


@pytest.fixture
async def scene() -> AsyncIterator[SimulatorClient]:
    async with simulator_client(users=12, groups=2) as scene:
        yield scene


async def consent(scene: SimulatorClient, *roles: str) -> None:
    await scene.admin("PUT", "/consent", {"roles": list(roles)})


async def group_of(scene: SimulatorClient, members: Sequence[str], **properties: object) -> str:
    body = {"displayName": "Crew", "members": list(members), **properties}
    group: str = (await scene.admin("POST", "/groups", body)).body["id"]
    return group


async def test_members_of_a_hidden_group_are_left_out_without_a_word(scene: SimulatorClient) -> None:
    """`HiddenMembership` without `Member.Read.Hidden`: 200 and an empty list (#12552, #12285)."""
    people = list(scene.simulator.directory.users)[:3]
    group = await group_of(scene, people, visibility="HiddenMembership")
    cast = f"/groups/{group}/members/microsoft.graph.user"
    for url in (f"/groups/{group}/members", f"/groups/{group}/transitiveMembers"):
        answer = await scene.get(url)
        assert (answer.status, answer.value) == (200, [])
    assert (await scene.get(f"{cast}?$count=true", INDEX)).value == []
    assert (await scene.get(f"/groups/{group}/members/$count", INDEX)).body == "0"
    assert (await scene.get(f"/groups/{group}?$expand=members")).body["members"] == []
    await consent(scene, *NO_DIRECTORY, "Member.Read.Hidden")
    assert (await scene.get(f"/groups/{group}/members")).ids == people
    assert (await scene.get(f"/groups/{group}?$select=visibility")).body["visibility"] == "HiddenMembership"


async def test_a_hidden_group_is_left_out_of_the_memberships_of_a_person(scene: SimulatorClient) -> None:
    """`memberOf` and `checkMemberGroups` come back without it, status 200."""
    person = next(iter(scene.simulator.directory.users))
    group = await group_of(scene, [person], visibility="HiddenMembership")
    body = {"groupIds": [group]}
    assert group not in (await scene.get(f"/users/{person}/memberOf")).ids
    assert group not in (await scene.get(f"/users/{person}/transitiveMemberOf")).ids
    assert (await scene.call("POST", f"/users/{person}/checkMemberGroups", body)).value == []
    await consent(scene, "Directory.Read.All", "Member.Read.Hidden")
    assert group in (await scene.get(f"/users/{person}/memberOf")).ids
    assert (await scene.call("POST", f"/users/{person}/checkMemberGroups", body)).value == [group]


async def test_hidden_members_are_not_in_the_delta_of_groups(scene: SimulatorClient) -> None:
    """`members@delta` is left out of a hidden group, in the first round and later."""
    first, second, *_ = scene.simulator.directory.users
    group = await group_of(scene, [first], visibility="HiddenMembership")
    pages = await scene.pages("/groups/delta?$select=displayName,members")
    [shown] = [item for page in pages for item in page.value if item["id"] == group]
    assert "members@delta" not in shown
    await scene.admin("PUT", f"/groups/{group}/members/{second}")
    assert (await scene.get(pages[-1].body["@odata.deltaLink"])).value == []


async def test_a_nested_hidden_group_hides_who_is_below_it(scene: SimulatorClient) -> None:
    """The group itself is a member; its own members are not found through it."""
    inner = await group_of(scene, list(scene.simulator.directory.users)[:2], visibility="HiddenMembership")
    outer = await group_of(scene, [inner])
    assert (await scene.get(f"/groups/{outer}/transitiveMembers")).ids == [inner]


async def test_objects_of_a_type_without_permission_come_with_their_id_only(scene: SimulatorClient) -> None:
    """Limited information returned for inaccessible member objects (permissions-overview)."""
    person = next(iter(scene.simulator.directory.users))
    device = await scene.admin("POST", "/objects", {"type": "device", "displayName": "Laptop 7"})
    group = await group_of(scene, [person, device.body["id"]])
    url = f"/groups/{group}/members?$select=id,displayName,userPrincipalName,operatingSystem"
    assert [item["displayName"] is None for item in (await scene.get(url)).value] == [False, False]
    await consent(scene, "GroupMember.Read.All")
    answer = await scene.get(url)
    assert answer.status == 200
    assert answer.value == [
        {
            "@odata.type": "#microsoft.graph.user",
            "id": person,
            "displayName": None,
            "userPrincipalName": None,
        },
        {
            "@odata.type": "#microsoft.graph.device",
            "id": device.body["id"],
            "displayName": None,
            "operatingSystem": None,
        },
    ]
    await consent(scene, "GroupMember.Read.All", "User.Read.All")
    shown = (await scene.get(url)).value
    assert [item["displayName"] is None for item in shown] == [False, True]


async def test_devices_are_cast_like_any_other_type(scene: SimulatorClient) -> None:
    """Members of type device, service principal and contact are in the plain list too."""
    ids = [
        (await scene.admin("POST", "/objects", {"type": kind, "displayName": kind})).body["id"]
        for kind in ("device", "orgContact", "servicePrincipal")
    ]
    group = await group_of(scene, ids)
    assert (await scene.get(f"/groups/{group}/members")).ids == ids
    assert (await scene.get(f"/groups/{group}/members/microsoft.graph.device", INDEX)).ids == ids[:1]
    refused = await scene.admin("POST", "/objects", {"type": "printer"})
    assert (refused.status, "orgContact" in refused.body["error"]["message"]) == (400, True)


async def test_basic_permission_shows_names_and_no_state(scene: SimulatorClient) -> None:
    """`User.ReadBasic.All`: names and mail; other properties as null is not verified."""
    await consent(scene, "User.ReadBasic.All")
    answer = await scene.get("/users?$select=id,displayName,accountEnabled,employeeId&$top=1")
    assert answer.status == 200
    [user] = answer.value
    assert (user["accountEnabled"], user["employeeId"]) == (None, None)
    assert user["displayName"]
    assert (await scene.get("/users/delta?$select=id")).status == 403


async def test_a_deleted_group_takes_the_permission_of_its_type(scene: SimulatorClient) -> None:
    """`deletedItems/{group}` takes Group.Read.All, `GroupMember.Read.All` is not enough."""
    directory = scene.simulator.directory
    group = await group_of(scene, [], groupTypes=["Unified"])
    person = next(iter(directory.users))
    directory.delete_group(group)
    directory.soft_delete_user(person)
    bin_url = "/directory/deletedItems"
    await consent(scene, *NO_DIRECTORY)
    refused = await scene.get(f"{bin_url}/{group}")
    assert (refused.status, refused.error) == (403, "Authorization_RequestDenied")
    assert (await scene.get(f"{bin_url}/{person}")).status == 200
    assert (await scene.get(f"{bin_url}/00000000-0000-4000-8000-000000000000")).status == 404
    assert (await scene.get(f"{bin_url}/microsoft.graph.group")).status == 403
    await consent(scene, *NO_DIRECTORY, "Group.Read.All")
    assert (await scene.get(f"{bin_url}/{group}")).body["id"] == group


async def test_the_assignment_of_a_deleted_group_may_linger(scene: SimulatorClient) -> None:
    """`appRoleAssignedTo` may list a soft-deleted group for a while."""
    group = await group_of(scene, [], groupTypes=["Unified"], assigned=True)
    await scene.admin("DELETE", f"/groups/{group}")
    url = f"/servicePrincipals/{scene.simulator.directory.service_principal_id}/appRoleAssignedTo?$top=999"
    assert group not in [row["principalId"] for row in (await scene.get(url)).value]
    await scene.admin("PATCH", "/behaviour", {"lingering_assignments": True})
    [row] = [row for row in (await scene.get(url)).value if row["principalId"] == group]
    assert (row["principalType"], row["principalDisplayName"]) == ("Group", "Crew")


async def test_a_null_state_is_neither_enabled_nor_disabled(scene: SimulatorClient) -> None:
    """`accountEnabled: null` on a user (docs-contrib#2410): the admin side's truth is *unknown*."""
    person = (
        await scene.admin("POST", "/users", {"userPrincipalName": "q@x.example", "accountEnabled": None})
    ).body["id"]
    await scene.admin("PUT", f"/assignments/{person}")

    async def truth() -> tuple[bool, str | None]:
        users = (await scene.admin("GET", "/state")).body["users"]
        mine = next(each for each in users if each["id"] == person)
        return mine["entitled"], mine["reason"]

    assert (await scene.get(f"/users/{person}?$select=accountEnabled")).body["accountEnabled"] is None
    assert await truth() == (False, "unknown_state")
    await scene.admin("PATCH", f"/users/{person}", {"accountEnabled": True})
    assert await truth() == (True, None)
    await scene.admin("PATCH", f"/users/{person}", {"accountEnabled": None})
    assert await truth() == (False, "unknown_state")
    await scene.admin("DELETE", f"/assignments/{person}")
    assert await truth() == (False, "unassigned")


@pytest.mark.parametrize("part", ["", "/manager", "/memberOf"])
async def test_a_name_that_begins_with_a_dollar_has_to_be_quoted(scene: SimulatorClient, part: str) -> None:
    """`/users/$x` breaks OData's convention: 400; `/users('$x')` is the documented form (user-get)."""
    directory = scene.simulator.directory
    boss, person = list(directory.users)[:2]
    directory.change_user(person, {"userPrincipalName": "$o'neil@x.example"})
    directory.set_manager(person, boss)
    refused = await scene.get(f"/users/$o'neil@x.example{part}")
    assert (refused.status, refused.error) == (400, "BadRequest")
    found = await scene.get(f"/users('$o''neil@x.example'){part}")
    assert found.status == 200
    assert part or found.body["id"] == person
    assert (await scene.get(f"/users('{person}')")).body["id"] == person
