"""The provisioning service over HTTP, and the log and job as Graph shows them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from simulator.directory import Directory
from simulator.provisioning import ProvisioningService, add_routes
from tests.builders.simulator.provisioning_company import person, provisioning_company
from tests.builders.simulator.provisioning_target import TOKEN, Target, running_target

Do = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Directory, Target, TestClient[Any, Any]]]:
    """Serve a company of two, one of them assigned, beside a target."""
    directory = Directory(5)
    directory.assign(person(directory, "ann"))
    person(directory, "ben")
    app = web.Application()
    add_routes(app, ProvisioningService(directory))
    async with running_target() as target, TestClient(TestServer(app)) as client:
        yield directory, target, client


async def post(client: TestClient[Any, Any], do: str, status: int = 200, **body: Any) -> Any:
    async with client.post("/provisioning", json={"do": do, **body}) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_a_job_is_configured_tested_started_and_cycled_over_http() -> None:
    """design.md §6: start, stop, one cycle now, dialect, target URL and token, provision on demand."""
    async with served() as (directory, target, client):
        job = await post(client, "configure", target_url=target.url, token=TOKEN)
        assert job["schedule"]["state"] == "Disabled"
        assert await post(client, "test") == {"ok": True, "code": None, "message": None}
        job = await post(client, "start", dialect="aadOptscim062020")
        assert job["schedule"]["state"] == "Active"
        report = await post(client, "cycle")
        assert (report["kind"], report["state"], report["counts"]) == ("initial", "Succeeded", {"created": 1})
        [ann] = directory.entitled()
        directory.change_user(ann, {"accountEnabled": False})
        report = await post(client, "cycle")
        assert report["counts"] == {"disabled": 1}
        assert target.sent("PATCH")[0].body["Operations"][0]["value"] is False
        directory.change_user(ann, {"accountEnabled": True})
        on_demand = await post(client, "provision_on_demand", object_id=ann)
        assert on_demand["status"] == "success"
        assert (await post(client, "stop"))["status"]["code"] == "Paused"


async def test_the_log_is_read_with_filters() -> None:
    """`GET /provisioning/log`, newest first."""
    async with served() as (directory, target, client):
        await post(client, "start", target_url=target.url, token=TOKEN)
        first = await post(client, "cycle")
        [ann] = directory.entitled()
        directory.unassign(ann)
        await post(client, "cycle")
        async with client.get("/provisioning/log") as answer:
            entries = (await answer.json())["value"]
        assert [entry["provisioningAction"] for entry in entries] == ["disable", "create"]
        for query in (f"cycleId={first['cycleId']}", "action=create", "top=1&action=create"):
            async with client.get(f"/provisioning/log?{query}") as answer:
                assert (await answer.json())["value"] == entries[1:]
        async with client.get("/provisioning/log?top=many") as answer:
            assert answer.status == 400


async def test_settings_gaps_and_restarts_come_over_http() -> None:
    """Every setting of the job and every gap has its name."""
    async with served() as (directory, target, client):
        settings = {
            "scope": "all",
            "mapping": {"externalId": "objectId", "title": None},
            "matching": ["externalId"],
            "scoping_filters": [[{"attribute": "givenName", "operator": "EQUALS", "value": "Ben"}]],
            "thresholds": {"evaluated_from": 10},
        }
        await post(client, "start", target_url=target.url, token=TOKEN, settings=settings)
        await post(client, "cycle")
        [user] = target.users.values()
        assert user["userName"].startswith("ben@")
        assert "title" not in user
        [ben] = [user.id for user in directory.users.values() if user.properties["givenName"] == "Ben"]
        assert user["externalId"] == ben
        armed = await post(client, "arm", gap="drop_change", principal=ben, times=2)
        assert armed == {"armed": ["drop_change"]}
        directory.soft_delete_user(ben)
        assert (await post(client, "cycle"))["counts"] == {}
        assert await post(client, "disarm") == {"armed": []}
        await post(client, "stop")
        await post(client, "drop_connection", object_id=ben)
        job = await post(client, "restart", full=True)
        assert job["status"]["synchronizedEntryCountByType"][0] == {"key": "User", "value": 0}


async def test_an_oauth_target_is_configured_over_http() -> None:
    """OAuth2 client credentials: Token Endpoint, Client Identifier, Client Secret."""
    async with served() as (_, target, client):
        credentials = {"token_endpoint": "http://127.0.0.1:9/token", "client_id": "c", "client_secret": "s"}
        await post(client, "configure", target_url=target.url, client_credentials=credentials)
        tested = await post(client, "test")
        assert tested["ok"] is False
        assert tested["code"].endswith("CredentialValidationUnavailable")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"do": "dance"}, 400, "cycle"),
        ({}, 400, "do"),
        ({"do": "cycle"}, 400, "Tenant URL"),
        ({"do": "configure", "target_url": "app.example"}, 400, "https://"),
        ({"do": "configure", "settings": {"speed": 3}}, 400, "speed"),
        ({"do": "configure", "settings": {"mapping": {"title": "Join("}}}, 400, "Join("),
        ({"do": "configure", "dialect": "klingon"}, 400, "klingon"),
        ({"do": "arm", "gap": "abyss"}, 400, "abyss"),
        ({"do": "arm", "gap": "dead_anchor", "principal": "nobody"}, 404, "nobody"),
        ({"do": "drop_connection", "object_id": "nobody"}, 404, "nobody"),
    ],
)
async def test_a_senseless_request_is_refused_with_what_to_do(
    body: dict[str, Any], status: int, says: str
) -> None:
    """Bad input: one message that says what and why; nothing half-done."""
    async with served() as (_, _target, client), client.post("/provisioning", json=body) as answer:
        assert answer.status == status
        assert says in (await answer.json())["error"]["message"]


async def test_a_log_entry_has_graphs_shape() -> None:
    """auditLogs/provisioning: identities, systems, status, steps, modified properties."""
    async with provisioning_company() as at:
        at.directory.unassign(at.ann)
        await at.cycle()
        [entry] = at.log(action="disable")
        target_id = at.target_id(at.ann)
        assert entry["jobId"].startswith(f"scim.{at.directory.entra_tenant_id.replace('-', '')}.")
        assert entry["tenantId"] == at.directory.entra_tenant_id
        assert entry["servicePrincipal"]["id"] == at.directory.service_principal_id
        assert entry["sourceIdentity"] == {
            "id": at.ann,
            "displayName": "ann@fabrikam-demo.example",
            "identityType": "User",
            "details": {
                "odatatype": "User",
                "DisplayName": "ann@fabrikam-demo.example",
                "UserPrincipalName": "ann@fabrikam-demo.example",
            },
        }
        assert entry["targetIdentity"]["id"] == target_id
        assert entry["provisioningStatusInfo"] == {"status": "success", "errorInformation": None}
        steps = [step["provisioningStepType"] for step in entry["provisioningSteps"]]
        assert steps == ["import", "scoping", "export"]
        assert entry["modifiedProperties"] == [
            {"displayName": "active", "oldValue": "True", "newValue": "False"}
        ]


async def test_every_entry_of_a_cycle_shares_its_cycle_id_and_has_its_own_change_id() -> None:
    """LOGS: `changeId` is unique per entry, `cycleId` per cycle, `jobId` per job."""
    async with provisioning_company() as at:
        first = at.log()
        at.directory.unassign(at.crew)
        await at.cycle()
        entries = at.log()
        assert len({entry["changeId"] for entry in entries}) == len(entries)
        assert len({entry["cycleId"] for entry in first}) == 1
        assert len({entry["cycleId"] for entry in entries}) == 2
        assert len({entry["jobId"] for entry in entries}) == 1


async def test_the_job_shows_its_state_as_graph_does() -> None:
    """Synchronization API: a new job is Disabled with an endless interval; later it counts."""
    async with provisioning_company(first_cycle=False, accidental_deletion_threshold=500) as at:
        at.service.job.state = "Disabled"
        job = at.service.job_representation()
        assert job["schedule"]["interval"] == "P10675199DT2H48M5.4775807S"
        assert job["status"]["code"] == "NotRun"
        assert job["synchronizationJobSettings"] == [
            {"name": "QuarantineTooManyDeletesThreshold", "value": "500"}
        ]
        await at.service.start()
        await at.cycle()
        status = at.service.job_representation()["status"]
        assert status["code"] == "Active"
        assert status["quarantine"] is None
        assert status["lastSuccessfulExecution"]["countExported"] == 4
        assert status["synchronizedEntryCountByType"] == [
            {"key": "User", "value": 3},
            {"key": "Group", "value": 1},
        ]


async def test_the_schema_shows_the_mapping_with_its_rules() -> None:
    """Schema: one rule per object type; the group rule's id carries the #V2 suffix."""
    async with provisioning_company() as at:
        rules = at.service.schema_representation()["synchronizationRules"]
        assert [rule["id"].endswith("#V2") for rule in rules] == [False, True]
        mappings = rules[0]["objectMappings"][0]["attributeMappings"]
        by_target = {mapping["targetAttributeName"]: mapping for mapping in mappings}
        assert by_target["userName"]["matchingPriority"] == 1
        assert by_target["externalId"]["source"]["expression"] == "[mailNickname]"
        assert by_target["active"]["source"]["type"] == "Function"


async def test_secrets_are_put_as_through_graph() -> None:
    """PUT …/synchronization/secrets: BaseAddress, SecretToken, SyncAll, SkipOutOfScopeDeletions."""
    async with provisioning_company(first_cycle=False) as at:
        at.service.put_secrets(
            {
                "BaseAddress": at.target.url + "?aadOptscim062020",
                "SecretToken": TOKEN,
                "SyncAll": "true",
                "SkipOutOfScopeDeletions": "True",
            }
        )
        await at.service.restart()
        await at.cycle()
        assert at.active() == {"ann", "ben", "cleo", "dan"}
        assert at.service.job.settings.skip_out_of_scope_deletions
