"""Groups and memberships of the simulated Graph, from either end; the recycle bin; the job and its log."""

from collections.abc import AsyncIterator

import pytest

from simulator.seeding import Shape
from tests.builders.simulator.client import INDEX, SimulatorClient, simulator_client


@pytest.fixture
async def client() -> AsyncIterator[SimulatorClient]:
    async with simulator_client(users=80, groups=6, shape=Shape(nested_groups=0.5)) as client:
        yield client


def nested(client: SimulatorClient) -> tuple[str, str, str]:
    """Give an outer group, a group in it, and a person in the inner one only."""
    directory = client.simulator.directory
    for inner in directory.groups:
        for outer in directory.groups_of(inner):
            for user in directory.live_members(inner):
                if user in directory.users and outer not in directory.groups_of(user):
                    return outer, inner, user
    raise AssertionError("the seeded company has no nesting")


async def test_groups_are_listed_and_found(client: SimulatorClient) -> None:
    """Default properties of a group; `$select`; `$count` with the index."""
    directory = client.simulator.directory
    listed = await client.everything("/groups?$top=4")
    assert [group["id"] for group in listed] == list(directory.groups)
    assert {"securityEnabled", "groupTypes", "createdDateTime"} <= set(listed[0])
    one = await client.get(f"/groups/{listed[0]['id']}?$select=displayName")
    assert list(one.body) == ["@odata.context", "displayName"]
    assert (await client.get("/groups/$count", INDEX)).body == "6"


async def test_expanded_members_stop_at_twenty(client: SimulatorClient) -> None:
    """`$expand=members` gives at most 20 and no link to the rest: a trap of the real API."""
    directory = client.simulator.directory
    group = max(directory.groups.values(), key=lambda g: len(g.member_ids))
    assert len(group.member_ids) > 20
    one = await client.get(f"/groups/{group.id}?$expand=members($select=id)")
    assert [member["id"] for member in one.body["members"]] == directory.live_members(group.id)[:20]
    listed = await client.get("/groups?$expand=members($select=id)&$select=id")
    assert max(len(each["members"]) for each in listed.value) == 20


async def test_memberships_from_the_member(client: SimulatorClient) -> None:
    """memberOf is direct, transitiveMemberOf goes up; casts need the index."""
    outer, inner, user = nested(client)
    direct = {each["id"] for each in await client.everything(f"/users/{user}/memberOf")}
    above = {each["id"] for each in await client.everything(f"/users/{user}/transitiveMemberOf")}
    assert inner in direct
    assert outer not in direct
    assert {inner, outer} <= above
    for relation, expected in (("memberOf", direct), ("transitiveMemberOf", above)):
        cast = await client.everything(f"/users/{user}/{relation}/microsoft.graph.group?$select=id", INDEX)
        assert {each["id"] for each in cast} == expected
        assert (await client.get(f"/users/{user}/{relation}/graph.group")).status == 400
    assert outer in {each["id"] for each in await client.everything(f"/groups/{inner}/memberOf")}
    assert outer in {each["id"] for each in await client.everything(f"/groups/{inner}/transitiveMemberOf")}
    all_ids = await client.call("POST", f"/users/{user}/getMemberGroups", {"securityEnabledOnly": False})
    assert set(all_ids.value) == above


async def test_members_cast_to_groups_and_to_nothing(client: SimulatorClient) -> None:
    """A cast filters by type: groups, or devices of which there are none; `$count` agrees."""
    outer, inner, _ = nested(client)
    groups = await client.get(f"/groups/{outer}/members/graph.group?$count=true", INDEX)
    assert inner in groups.ids
    assert groups.body["@odata.count"] == len(groups.ids)
    assert (await client.get(f"/groups/{outer}/members/graph.group/$count", INDEX)).body == str(
        len(groups.ids)
    )
    users = await client.get(f"/groups/{outer}/members/graph.user/$count", INDEX)
    assert int(users.body) + len(groups.ids) == len(client.simulator.directory.live_members(outer))
    assert (await client.get(f"/groups/{outer}/members/graph.device", INDEX)).value == []


async def test_reports_of_a_manager(client: SimulatorClient) -> None:
    """directReports is the other end of manager."""
    directory = client.simulator.directory
    head = next(user.id for user in directory.users.values() if user.manager_id is None)
    expected = {user.id for user in directory.users.values() if user.manager_id == head}
    assert {each["id"] for each in await client.everything(f"/users/{head}/directReports")} == expected


async def test_roles_of_a_group(client: SimulatorClient) -> None:
    """appRoleAssignments of a group: one per role."""
    directory = client.simulator.directory
    group = next(g for g in directory.groups if len(directory.assignments.get(g, [])) == 2)
    assert len((await client.get(f"/groups/{group}/appRoleAssignments")).value) == 2


async def test_deleted_group_can_come_back(client: SimulatorClient) -> None:
    """A Microsoft 365 group is in the recycle bin, with its type, until it is restored."""
    directory = client.simulator.directory
    office = next(g.id for g in directory.groups.values() if g.restorable)
    directory.delete_group(office)
    assert (await client.get("/directory/deletedItems/graph.group?$select=id")).ids == [office]
    assert (await client.get(f"/directory/deletedItems/{office}")).body[
        "@odata.type"
    ] == "#microsoft.graph.group"
    assert (await client.get("/directory/deletedItems/graph.group/$count", INDEX)).body == "1"
    ordered = "/directory/deletedItems/graph.group?$orderby=deletedDateTime desc&$count=true"
    assert (await client.get(ordered)).status == 400
    assert (await client.get(ordered, INDEX)).ids == [office]
    await client.admin("PUT", "/consent", {"roles": ["Directory.ReadWrite.All", "Directory.Read.All"]})
    assert (await client.call("POST", f"/directory/deletedItems/{office}/restore")).status == 200
    assert office in directory.groups


async def test_name_taken_meanwhile_blocks_the_restore(client: SimulatorClient) -> None:
    """409 when somebody else has the name by now."""
    directory = client.simulator.directory
    user = next(iter(directory.users.values()))
    name = user.user_principal_name
    directory.soft_delete_user(user.id)
    directory.create_user({"userPrincipalName": name})
    await client.admin("PUT", "/consent", {"roles": ["User.DeleteRestore.All"]})
    assert (await client.call("POST", f"/directory/deletedItems/{user.id}/restore")).status == 409


async def test_objects_by_id_whatever_they_are(client: SimulatorClient) -> None:
    """directoryObjects/{id} names the type."""
    directory = client.simulator.directory
    user, group = next(iter(directory.users)), next(iter(directory.groups))
    types = [(await client.get(f"/directoryObjects/{each}")).body["@odata.type"] for each in (user, group)]
    assert types == ["#microsoft.graph.user", "#microsoft.graph.group"]
    assert (await client.get("/directoryObjects/none")).status == 404


async def test_job_can_be_started_paused_and_restarted(client: SimulatorClient) -> None:
    """start, pause, restart: 204; the job shows it. Reading alone is not enough."""
    base = f"/servicePrincipals/{client.simulator.directory.service_principal_id}/synchronization"
    secrets = [
        {"key": "BaseAddress", "value": "http://127.0.0.1:9/scim"},
        {"key": "SecretToken", "value": "x"},
    ]
    await client.call("PUT", f"{base}/secrets", {"value": secrets})
    job = f"{base}/jobs/{(await client.get(f'{base}/jobs')).ids[0]}"

    async def state() -> str:
        found: str = (await client.get(job)).body["schedule"]["state"]
        return found

    assert (await client.call("POST", f"{job}/start")).status == 204
    assert await state() == "Active"
    assert (await client.call("POST", f"{job}/pause")).status == 204
    assert await state() == "Paused"
    restart = {"criteria": {"resetScope": "Watermark, Escrows, QuarantineState"}}
    assert (await client.call("POST", f"{job}/restart", restart)).status == 204
    assert await state() == "Active"
    refused = await client.call("POST", f"{job}/validateCredentials", {})
    assert (refused.status, bool(refused.body["error"]["code"])) == (400, True)
    await client.admin("PUT", "/consent", {"roles": ["Synchronization.Read.All"]})
    assert (await client.call("POST", f"{job}/pause")).status == 403


async def test_log_is_kept_for_thirty_days(client: SimulatorClient) -> None:
    """Retention 30 days (P1/P2)."""
    await client.admin(
        "POST", "/provisioning", {"do": "configure", "target_url": "http://127.0.0.1:9/x", "token": "x"}
    )
    user = next(iter(client.simulator.directory.entitled()))
    await client.admin("POST", "/provisioning", {"do": "provision_on_demand", "object_id": user})
    failures = "/auditLogs/provisioning?$filter=provisioningStatusInfo/status eq 'failure'"
    assert len((await client.get(failures)).value) == 1
    await client.admin("POST", "/clock", {"advance_s": 31 * 86_400})
    assert (await client.get(failures)).value == []
