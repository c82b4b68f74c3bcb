"""The enterprise application of the simulated tenant: assignments, bulk lookups, batches, synchronization."""

import json
import time
from collections.abc import AsyncIterator

import pytest

from simulator.objects import DEFAULT_ACCESS
from tests.builders.simulator.client import Answer, SimulatorClient, simulator_client


@pytest.fixture
async def client() -> AsyncIterator[SimulatorClient]:
    async with simulator_client() as client:
        yield client


def principal(client: SimulatorClient) -> str:
    return f"/servicePrincipals/{client.simulator.directory.service_principal_id}"


async def test_application_is_found_three_ways(client: SimulatorClient) -> None:
    """By id, by alternate key, by filter."""
    directory = client.simulator.directory
    by_id = await client.get(principal(client))
    by_key = await client.get(f"/servicePrincipals(appId='{directory.app_id}')")
    by_filter = await client.get(f"/servicePrincipals?$filter=appId eq '{directory.app_id}'")
    assert by_id.body == by_key.body
    assert by_filter.ids == [directory.service_principal_id]
    assert by_id.body["appRoleAssignmentRequired"] is True
    unknown = await client.get(f"/servicePrincipals(appId='{directory.client_secret}')")
    assert (unknown.status, unknown.error) == (404, "Request_ResourceNotFound")


async def test_assignments_are_listed_per_role(client: SimulatorClient) -> None:
    """The same principal may appear several times; all zeros is default access."""
    directory = client.simulator.directory
    found = await client.everything(f"{principal(client)}/appRoleAssignedTo?$top=3")
    assert [each["id"] for each in found] == [a.id for a in directory.live_assignments()]
    roles: dict[str, set[str]] = {}
    for each in found:
        roles.setdefault(each["principalId"], set()).add(each["appRoleId"])
    assert {DEFAULT_ACCESS, directory.app_role_id} in roles.values()
    assert {each["principalType"] for each in found} == {"User", "Group"}


async def test_deleted_principals_drop_out(client: SimulatorClient) -> None:
    """Soft-deleted people and deleted groups are in no list of assignments."""
    directory = client.simulator.directory
    user = next(a.principal_id for a in directory.live_assignments() if a.principal_type == "User")
    group = next(a.principal_id for a in directory.live_assignments() if a.principal_type == "Group")
    directory.soft_delete_user(user)
    directory.delete_group(group)
    found = await client.everything(f"{principal(client)}/appRoleAssignedTo")
    assert {user, group}.isdisjoint(each["principalId"] for each in found)


async def test_new_assignment_may_be_late(client: SimulatorClient) -> None:
    """Replication delay is documented: "may not be immediate"."""
    directory = client.simulator.directory
    newcomer = directory.create_user({"userPrincipalName": f"new@{directory.domain}"}).id
    directory.assign(newcomer)
    client.simulator.simulation.behaviour.assignment_lag_s = 120
    address = f"{principal(client)}/appRoleAssignedTo"
    assert newcomer not in {each["principalId"] for each in await client.everything(address)}
    directory.advance(121)
    assert newcomer in {each["principalId"] for each in await client.everything(address)}


async def test_roles_of_a_user_include_those_of_direct_groups(client: SimulatorClient) -> None:
    """Roles granted to groups that the user is a direct member of are in the list, too."""
    directory = client.simulator.directory
    user, via = next((u, via) for u, via in directory.entitled().items() if via != ["direct"])
    found = await client.get(f"/users/{user}/appRoleAssignments")
    assert {each["principalId"] for each in found.value} == {user if way == "direct" else way for way in via}
    other = f"/users/{user}/appRoleAssignments?$filter=resourceId eq {directory.service_principal_id}"
    assert len((await client.get(other)).value) == len(found.value)


async def test_membership_checks_are_transitive(client: SimulatorClient) -> None:
    """checkMemberGroups: at most 20 ids, transitive."""
    directory = client.simulator.directory
    inner = next(g for g in directory.groups if directory.groups_of(g))
    outer = directory.groups_of(inner)[0]
    user = next(m for m in directory.live_members(inner) if m in directory.users)
    others = [g for g in directory.groups if g not in {inner, outer}]
    body = {"groupIds": [inner, outer]}
    found = await client.call("POST", f"/users/{user}/checkMemberGroups", body)
    assert set(found.value) == {inner, outer}
    too_many = await client.call("POST", f"/users/{user}/checkMemberGroups", {"groupIds": others * 11})
    assert too_many.status == 400


async def test_lookup_of_many_drops_the_unknown(client: SimulatorClient) -> None:
    """getByIds: unknown ids are silently dropped; at most 1000."""
    directory = client.simulator.directory
    user, group = next(iter(directory.users)), next(iter(directory.groups))
    found = await client.call("POST", "/directoryObjects/getByIds", {"ids": [user, "no-such", group]})
    assert found.ids == [user, group]
    assert [each["@odata.type"] for each in found.value] == [
        "#microsoft.graph.user",
        "#microsoft.graph.group",
    ]
    only_groups = {"ids": [user, group], "types": ["group"]}
    assert (await client.call("POST", "/directoryObjects/getByIds", only_groups)).ids == [group]
    too_many = {"ids": [f"{n}" for n in range(1001)]}
    assert (await client.call("POST", "/directoryObjects/getByIds", too_many)).status == 400


async def test_batch_answers_each_item_by_itself(client: SimulatorClient) -> None:
    """Batch answers 200 even if items fail; answers may be reordered; failed dependency 424."""
    user = next(iter(client.simulator.directory.users))
    group = next(iter(client.simulator.directory.groups))
    requests = [
        {"id": "1", "method": "GET", "url": f"/users/{user}?$select=id,accountEnabled"},
        {"id": "2", "method": "GET", "url": "/users/nobody"},
        {"id": "3", "method": "GET", "url": f"/users/{user}", "dependsOn": ["2"]},
        {
            "id": "4",
            "method": "GET",
            "url": f"/groups/{group}/members/microsoft.graph.user?$count=true&$top=2",
            "headers": {"ConsistencyLevel": "eventual"},
        },
        {"id": "5", "method": "GET", "url": f"/groups/{group}/members/microsoft.graph.user"},
    ]
    answered = await client.call("POST", "/$batch", {"requests": requests})
    by_id = {each["id"]: each for each in answered.body["responses"]}
    assert [each["id"] for each in answered.body["responses"]] != ["1", "2", "3", "4", "5"]
    assert {i: each["status"] for i, each in by_id.items()} == {
        "1": 200,
        "2": 404,
        "3": 424,
        "4": 200,
        "5": 400,
    }
    assert by_id["1"]["body"]["id"] == user
    assert by_id["2"]["body"]["error"]["code"] == "Request_ResourceNotFound"


async def test_item_of_a_batch_is_throttled_by_itself(client: SimulatorClient) -> None:
    """Throttled item: status 429 with its own `Retry-After` header."""
    await client.admin(
        "POST", "/faults", {"match": "GET /v1.0/users/b$", "status": 429, "headers": {"Retry-After": "2.128"}}
    )
    requests = [{"id": each, "method": "GET", "url": f"/users/{each}"} for each in ("a", "b")]
    answered = await client.call("POST", "/$batch", {"requests": requests})
    by_id = {each["id"]: each for each in answered.body["responses"]}
    assert (answered.status, by_id["a"]["status"], by_id["b"]["status"]) == (200, 404, 429)
    assert by_id["b"]["headers"]["Retry-After"] == "2.128"


async def members_in_a_batch(client: SimulatorClient) -> Answer:
    group = next(iter(client.simulator.directory.groups))
    item = {"id": "1", "method": "GET", "url": f"/groups/{group}/members?$top=999"}
    return await client.call("POST", "/$batch", {"requests": [item]})


async def test_item_of_a_batch_can_be_late(client: SimulatorClient) -> None:
    """A fault that counts as having struck has struck: a batch is answered once every item is."""
    await client.admin("POST", "/faults", {"match": "members", "delay_s": 0.3})
    began = time.monotonic()
    assert (await members_in_a_batch(client)).status == 200
    assert time.monotonic() - began >= 0.3


async def test_item_of_a_batch_can_be_thinned_or_cut(client: SimulatorClient) -> None:
    """What vanishes from a list vanishes from it in a batch, too."""
    [whole] = (await members_in_a_batch(client)).body["responses"]
    assert whole["body"]["value"]
    await client.admin("POST", "/faults", {"match": "members", "drop_fraction": 1.0, "times": 1})
    [thinned] = (await members_in_a_batch(client)).body["responses"]
    assert (thinned["status"], thinned["body"]["value"]) == (200, [])
    await client.admin("POST", "/faults", {"match": "members", "truncate": 0.5, "times": 1})
    [cut] = (await members_in_a_batch(client)).body["responses"]
    assert isinstance(cut["body"], str), "half a document is no JSON"
    assert [each["hit"] for each in (await client.admin("GET", "/faults")).body] == [1, 1]


async def test_item_of_a_batch_has_no_connection_to_break(client: SimulatorClient) -> None:
    """What cannot strike is not counted as if it had."""
    await client.admin("POST", "/faults", {"match": "members", "reset": True})
    assert (await members_in_a_batch(client)).status == 200
    assert [each["hit"] for each in (await client.admin("GET", "/faults")).body] == [0]


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param([{"id": str(n), "method": "GET", "url": "/users"} for n in range(21)], id="21 items"),
        pytest.param([{"id": "1", "method": "GET", "url": "/users"}] * 2, id="same id twice"),
        pytest.param([{"id": "1", "method": "POST", "url": "/$batch"}], id="nested"),
        pytest.param([], id="empty"),
    ],
)
async def test_malformed_batch_is_refused(client: SimulatorClient, requests: list[object]) -> None:
    """At most 20 requests, no nesting; 400 only if malformed."""
    assert (await client.call("POST", "/$batch", {"requests": requests})).status == 400


async def test_sessions_are_revoked_with_a_boolean(client: SimulatorClient) -> None:
    """Documented 204, but answers 200 with a boolean; it moves signInSessionsValidFromDateTime."""
    user = next(iter(client.simulator.directory.users))
    assert (await client.call("POST", f"/users/{user}/revokeSignInSessions")).status == 403
    await client.admin("PUT", "/consent", {"roles": ["User.RevokeSessions.All", "User.Read.All"]})
    revoked = await client.call("POST", f"/users/{user}/revokeSignInSessions")
    assert (revoked.status, revoked.body["value"]) == (200, True)
    shown = await client.get(f"/users/{user}?$select=signInSessionsValidFromDateTime")
    assert shown.body["signInSessionsValidFromDateTime"].endswith("Z")


async def test_scripts_can_assign_and_unassign(client: SimulatorClient) -> None:
    """POST and DELETE appRoleAssignedTo, with the permission they need."""
    directory = client.simulator.directory
    user = next(u for u in directory.users if not directory.is_assigned(u))
    wanted = {"principalId": user, "resourceId": directory.service_principal_id, "appRoleId": DEFAULT_ACCESS}
    address = f"{principal(client)}/appRoleAssignedTo"
    assert (await client.call("POST", address, wanted)).status == 403
    roles = [*client.simulator.simulation.registration.roles, "AppRoleAssignment.ReadWrite.All"]
    await client.admin("PUT", "/consent", {"roles": roles})
    made = await client.call("POST", address, wanted)
    assert (made.status, directory.is_assigned(user)) == (201, True)
    assert (await client.call("DELETE", f"{address}/{made.body['id']}")).status == 204
    assert not directory.is_assigned(user)


async def test_deleted_items_can_be_restored_and_purged(client: SimulatorClient) -> None:
    """`restore` answers the object, `DELETE` purges; both need more than reading."""
    directory = client.simulator.directory
    first, second = list(directory.users)[:2]
    directory.soft_delete_user(first)
    directory.soft_delete_user(second)
    assert (await client.call("POST", f"/directory/deletedItems/{first}/restore")).status == 403
    await client.admin("PUT", "/consent", {"roles": ["User.DeleteRestore.All", "User.Read.All"]})
    assert (await client.call("POST", f"/directory/deletedItems/{first}/restore")).body["id"] == first
    assert (await client.call("DELETE", f"/directory/deletedItems/{second}")).status == 204
    assert (first in directory.users, second in directory.purged_users) == (True, True)


async def test_synchronization_job_shows_the_provisioning_service(client: SimulatorClient) -> None:
    """Jobs, schema and the provisioning log are Graph's view of the service."""
    jobs = await client.get(f"{principal(client)}/synchronization/jobs")
    job = jobs.value[0]["id"]
    assert (await client.get(f"{principal(client)}/synchronization/jobs/{job}")).body["id"] == job
    schema = await client.get(f"{principal(client)}/synchronization/jobs/{job}/schema")
    assert len(schema.body["synchronizationRules"]) == 2
    assert (await client.get(f"{principal(client)}/synchronization/jobs/none")).status == 404
    assert (await client.get("/auditLogs/provisioning?$top=5")).value == []


async def test_provision_on_demand_answers_json_inside_strings(client: SimulatorClient) -> None:
    """Success and errors are decided inside the strings, not by HTTP."""
    directory = client.simulator.directory
    jobs = await client.get(f"{principal(client)}/synchronization/jobs")
    address = f"{principal(client)}/synchronization/jobs/{jobs.value[0]['id']}"
    secrets = [
        {"key": "BaseAddress", "value": "http://127.0.0.1:9/scim"},
        {"key": "SecretToken", "value": "x"},
    ]
    put = await client.call("PUT", f"{principal(client)}/synchronization/secrets", {"value": secrets})
    assert put.status == 204
    rule = (await client.get(f"{address}/schema")).body["synchronizationRules"][0]["id"]
    subject = {"objectId": next(iter(directory.entitled())), "objectTypeName": "User"}
    body = {"parameters": [{"ruleId": rule, "subjects": [subject]}]}
    answered = await client.call("POST", f"{address}/provisionOnDemand", body)
    assert answered.status == 200
    assert json.loads(answered.body["key"])["result"] == "Failure"
    assert json.loads(answered.body["value"])["provisioningSteps"]
    assert (await client.get("/auditLogs/provisioning")).value[0]["provisioningStatusInfo"][
        "status"
    ] == "failure"


async def test_organization_is_the_canary(client: SimulatorClient) -> None:
    """One known-good object that any reader may read."""
    found = await client.get("/organization")
    assert found.ids == [client.simulator.directory.entra_tenant_id]
