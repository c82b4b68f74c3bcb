"""Groups and memberships of the simulated Graph, from either end; the recycle bin; the job and its log."""

from collections.abc import AsyncIterator

import pytest

from simulator.seeding import Shape
from tests.builders.simulator.client import INDEX, Scene, simulator_scene


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with simulator_scene(users=80, groups=6, shape=Shape(nested_groups=0.5)) as scene:
        yield scene


def nested(scene: Scene) -> tuple[str, str, str]:
    """Give an outer group, a group in it, and a person in the inner one only."""
    directory = scene.simulator.directory
    for inner in directory.groups:
        for outer in directory.groups_of(inner):
            for user in directory.live_members(inner):
                if user in directory.users and outer not in directory.groups_of(user):
                    return outer, inner, user
    raise AssertionError("the seeded company has no nesting")


async def test_groups_are_listed_and_found(scene: Scene) -> None:
    """Default properties of a group; `$select`; `$count` with the index."""
    directory = scene.simulator.directory
    listed = await scene.everything("/groups?$top=4")
    assert [group["id"] for group in listed] == list(directory.groups)
    assert {"securityEnabled", "groupTypes", "createdDateTime"} <= set(listed[0])
    one = await scene.get(f"/groups/{listed[0]['id']}?$select=displayName")
    assert list(one.body) == ["@odata.context", "displayName"]
    assert (await scene.get("/groups/$count", INDEX)).body == "6"


async def test_expanded_members_stop_at_twenty(scene: Scene) -> None:
    """`$expand=members` gives at most 20 and no link to the rest: a trap of the real API."""
    directory = scene.simulator.directory
    group = max(directory.groups.values(), key=lambda g: len(g.member_ids))
    assert len(group.member_ids) > 20
    one = await scene.get(f"/groups/{group.id}?$expand=members($select=id)")
    assert [member["id"] for member in one.body["members"]] == directory.live_members(group.id)[:20]
    listed = await scene.get("/groups?$expand=members($select=id)&$select=id")
    assert max(len(each["members"]) for each in listed.value) == 20


async def test_memberships_from_the_member(scene: Scene) -> None:
    """memberOf is direct, transitiveMemberOf goes up; casts need the index."""
    outer, inner, user = nested(scene)
    direct = {each["id"] for each in await scene.everything(f"/users/{user}/memberOf")}
    above = {each["id"] for each in await scene.everything(f"/users/{user}/transitiveMemberOf")}
    assert inner in direct
    assert outer not in direct
    assert {inner, outer} <= above
    for relation, expected in (("memberOf", direct), ("transitiveMemberOf", above)):
        cast = await scene.everything(f"/users/{user}/{relation}/microsoft.graph.group?$select=id", INDEX)
        assert {each["id"] for each in cast} == expected
        assert (await scene.get(f"/users/{user}/{relation}/graph.group")).status == 400
    assert outer in {each["id"] for each in await scene.everything(f"/groups/{inner}/memberOf")}
    assert outer in {each["id"] for each in await scene.everything(f"/groups/{inner}/transitiveMemberOf")}
    all_ids = await scene.call("POST", f"/users/{user}/getMemberGroups", {"securityEnabledOnly": False})
    assert set(all_ids.value) == above


async def test_members_cast_to_groups_and_to_nothing(scene: Scene) -> None:
    """A cast filters by type: groups, or devices of which there are none; `$count` agrees."""
    outer, inner, _ = nested(scene)
    groups = await scene.get(f"/groups/{outer}/members/graph.group?$count=true", INDEX)
    assert inner in groups.ids
    assert groups.body["@odata.count"] == len(groups.ids)
    assert (await scene.get(f"/groups/{outer}/members/graph.group/$count", INDEX)).body == str(
        len(groups.ids)
    )
    users = await scene.get(f"/groups/{outer}/members/graph.user/$count", INDEX)
    assert int(users.body) + len(groups.ids) == len(scene.simulator.directory.live_members(outer))
    assert (await scene.get(f"/groups/{outer}/members/graph.device", INDEX)).value == []


async def test_reports_of_a_manager(scene: Scene) -> None:
    """directReports is the other end of manager."""
    directory = scene.simulator.directory
    head = next(user.id for user in directory.users.values() if user.manager_id is None)
    expected = {user.id for user in directory.users.values() if user.manager_id == head}
    assert {each["id"] for each in await scene.everything(f"/users/{head}/directReports")} == expected


async def test_roles_of_a_group(scene: Scene) -> None:
    """appRoleAssignments of a group: one per role."""
    directory = scene.simulator.directory
    group = next(g for g in directory.groups if len(directory.assignments.get(g, [])) == 2)
    assert len((await scene.get(f"/groups/{group}/appRoleAssignments")).value) == 2


async def test_deleted_group_can_come_back(scene: Scene) -> None:
    """A Microsoft 365 group is in the recycle bin, with its type, until it is restored."""
    directory = scene.simulator.directory
    office = next(g.id for g in directory.groups.values() if g.restorable)
    directory.delete_group(office)
    assert (await scene.get("/directory/deletedItems/graph.group?$select=id")).ids == [office]
    assert (await scene.get(f"/directory/deletedItems/{office}")).body[
        "@odata.type"
    ] == "#microsoft.graph.group"
    assert (await scene.get("/directory/deletedItems/graph.group/$count", INDEX)).body == "1"
    ordered = "/directory/deletedItems/graph.group?$orderby=deletedDateTime desc&$count=true"
    assert (await scene.get(ordered)).status == 400
    assert (await scene.get(ordered, INDEX)).ids == [office]
    await scene.admin("PUT", "/consent", {"roles": ["Directory.ReadWrite.All", "Directory.Read.All"]})
    assert (await scene.call("POST", f"/directory/deletedItems/{office}/restore")).status == 200
    assert office in directory.groups


async def test_name_taken_meanwhile_blocks_the_restore(scene: Scene) -> None:
    """409 when somebody else has the name by now."""
    directory = scene.simulator.directory
    user = next(iter(directory.users.values()))
    name = user.user_principal_name
    directory.soft_delete_user(user.id)
    directory.create_user({"userPrincipalName": name})
    await scene.admin("PUT", "/consent", {"roles": ["User.DeleteRestore.All"]})
    assert (await scene.call("POST", f"/directory/deletedItems/{user.id}/restore")).status == 409


async def test_objects_by_id_whatever_they_are(scene: Scene) -> None:
    """directoryObjects/{id} names the type."""
    directory = scene.simulator.directory
    user, group = next(iter(directory.users)), next(iter(directory.groups))
    types = [(await scene.get(f"/directoryObjects/{each}")).body["@odata.type"] for each in (user, group)]
    assert types == ["#microsoft.graph.user", "#microsoft.graph.group"]
    assert (await scene.get("/directoryObjects/none")).status == 404


async def test_job_can_be_started_paused_and_restarted(scene: Scene) -> None:
    """start, pause, restart: 204; the job shows it. Reading alone is not enough."""
    base = f"/servicePrincipals/{scene.simulator.directory.service_principal_id}/synchronization"
    secrets = [
        {"key": "BaseAddress", "value": "http://127.0.0.1:9/scim"},
        {"key": "SecretToken", "value": "x"},
    ]
    await scene.call("PUT", f"{base}/secrets", {"value": secrets})
    job = f"{base}/jobs/{(await scene.get(f'{base}/jobs')).ids[0]}"

    async def state() -> str:
        found: str = (await scene.get(job)).body["schedule"]["state"]
        return found

    assert (await scene.call("POST", f"{job}/start")).status == 204
    assert await state() == "Active"
    assert (await scene.call("POST", f"{job}/pause")).status == 204
    assert await state() == "Paused"
    restart = {"criteria": {"resetScope": "Watermark, Escrows, QuarantineState"}}
    assert (await scene.call("POST", f"{job}/restart", restart)).status == 204
    assert await state() == "Active"
    refused = await scene.call("POST", f"{job}/validateCredentials", {})
    assert (refused.status, bool(refused.body["error"]["code"])) == (400, True)
    await scene.admin("PUT", "/consent", {"roles": ["Synchronization.Read.All"]})
    assert (await scene.call("POST", f"{job}/pause")).status == 403


async def test_log_is_kept_for_thirty_days(scene: Scene) -> None:
    """Retention 30 days (P1/P2)."""
    await scene.admin(
        "POST", "/provisioning", {"do": "configure", "target_url": "http://127.0.0.1:9/x", "token": "x"}
    )
    user = next(iter(scene.simulator.directory.entitled()))
    await scene.admin("POST", "/provisioning", {"do": "provision_on_demand", "object_id": user})
    failures = "/auditLogs/provisioning?$filter=provisioningStatusInfo/status eq 'failure'"
    assert len((await scene.get(failures)).value) == 1
    await scene.admin("POST", "/clock", {"advance_s": 31 * 86_400})
    assert (await scene.get(failures)).value == []
