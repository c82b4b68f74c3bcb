"""Every operation answers what its schema says, and nothing of another tenant.

The client of these tests compares every answer with the schema of its operation.
"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from console.api.contract import ApiOperation
from console.api.routes import OPERATIONS
from store.keys import utc_now
from store.records import CycleId, PlanStatus
from store.sync import held_plans
from store.tenancy import connections
from tests.builders.api_client import ApiDesk
from tests.builders.api_requests import BODIES, FOREIGN_WRITES
from worker.jobs.queue import Job, JobId
from worker.reconcile.plan import Plan

READS = [each for each in OPERATIONS if each.method == "GET"]
FIRST_ANSWER = {
    "get_webhook": 404,
    "get_event_stream": 404,
    "get_run": 404,
    "get_cycle": 404,
    "get_plan": 404,
    "get_drift": 404,
    "list_operators": 403,
}
"""Reads that find nothing in a connection without a cycle."""


def filled(operation: ApiOperation, desk: ApiDesk) -> str:
    """Return the path with Contoso's ids in it."""
    values = {
        "connection": desk.connection.id,
        "tenant": desk.connection.tenant_id,
        "user": desk.user,
        "group": desk.group,
    }
    return re.sub(r"\{(\w+)\}", lambda name: values.get(name[1], "0123456789abcdef"), operation.path)


async def test_a_read_answers_its_own_tenant_and_is_404_for_another(desk: ApiDesk) -> None:
    """design.md §7, I5: object-level checks: whatever is another tenant's is 404."""
    for operation in READS:
        path = filled(operation, desk)
        own = await desk.contoso.get(path)
        assert own.status == FIRST_ANSWER.get(operation.id, 200), own.text
        strange = await desk.fabrikam.get(path)
        if operation.path_names:
            assert (strange.status, strange.problem) == (404, "not-found")
        for secret in (desk.connection.id, desk.connection.tenant_id, desk.user):
            assert secret not in strange.text.replace(path, "")


async def test_a_write_to_another_tenant_is_404_and_changes_nothing(desk: ApiDesk) -> None:
    """I5, for every operation that changes something."""
    for operation in OPERATIONS:
        if operation.method == "GET":
            continue
        body = BODIES.get(operation.id, {})
        if isinstance(body, dict) and "tenant" in body:
            body = {**body, "tenant": desk.connection.tenant_id}
        is_deletion = operation.id in ("delete_connection", "delete_tenant")
        answer = await desk.fabrikam.send(
            operation.method,
            filled(operation, desk),
            body,
            {"If-Match": "*"},
            **({"people": "keep"} if is_deletion else {}),
        )
        assert answer.status == FOREIGN_WRITES.get(operation.id, 404), answer.text
        assert desk.connection.id not in answer.text


async def test_without_its_permission_an_operation_is_refused(desk: ApiDesk) -> None:
    """design.md §6: tokens have permissions; a token of Entra opens the people alone."""
    entra = await desk.contoso.post(f"/connections/{desk.connection.id}/tokens", {"name": "entra"})
    client = desk.contoso.with_secret(entra.json["token"])
    for operation in OPERATIONS:
        assert operation.permission is not None
        if operation.permission.startswith(("admin:user:", "admin:group:")):
            continue
        answer = await client.send(operation.method, filled(operation, desk))
        assert (answer.status, answer.problem) == (403, "permission-missing")
        assert operation.permission in answer.json["detail"]


async def test_a_list_is_read_page_by_page(desk: ApiDesk) -> None:
    """Every list is {"items", "next"}; a cursor is good for its own list only."""
    path = f"/connections/{desk.connection.id}/audit"
    for number in range(3):
        await desk.contoso.post(f"/connections/{desk.connection.id}/pause", {"reason": str(number)})
    first = (await desk.contoso.get(path, limit=2)).json
    rest = (await desk.contoso.get(path, limit=2, cursor=first["next"])).json
    reasons = [each["detail"].get("reason") for each in (*first["items"], *rest["items"])]
    assert reasons[:3] == ["2", "1", "0"]
    assert rest["next"] is None or len(rest["items"]) == 2
    users = f"/connections/{desk.connection.id}/users"
    for cursor in (first["next"], "garbled", first["next"][:-2] + "xx", ""):
        refused = await desk.contoso.get(users, cursor=cursor)
        assert (refused.status, refused.problem) == (400, "invalid-cursor")


async def test_an_operators_token_acts_over_all_tenants_and_a_revoked_one_no_more(desk: ApiDesk) -> None:
    """Issue 11: "per tenant or all for an operator's token"."""
    seen = (await desk.operator.get("/tenants")).json["items"]
    assert len(seen) == 2
    made = await desk.operator.post("/tenants", {"name": "Northwind"})
    assert made.status == 201
    assert len((await desk.contoso.get("/tenants")).json["items"]) == 1
    assert (await desk.contoso.post("/tenants", {"name": "Mine"})).problem == "operator-required"


async def test_a_token_makes_no_token_that_may_more_than_itself(desk: ApiDesk) -> None:
    """A key that makes keys would otherwise open everything."""
    path = f"/connections/{desk.connection.id}/tokens"
    maker = await desk.contoso.post(path, {"name": "m", "permissions": ["admin:token:*", "admin:user:read"]})
    client = desk.contoso.with_secret(maker.json["token"])
    assert (await client.post(path, {"name": "k", "permissions": ["admin:user:read"]})).status == 201
    for wanted in (["admin:user"], ["admin:user:*"], ["admin:sync:run"], None):
        refused = await client.post(path, {"name": "k", "permissions": wanted})
        assert (refused.status, refused.problem) == (403, "permission-missing"), wanted
    strong = (await desk.contoso.post(path, {"name": "strong"})).json
    assert (await client.post(f"/tokens/{strong['id']}/rotate")).problem == "permission-missing"


async def test_no_answer_holds_a_credential(desk: ApiDesk) -> None:
    """Issue 11: "Credentials are never returned"."""
    changed = await desk.contoso.send(
        "PATCH",
        f"/connections/{desk.connection.id}",
        {
            "client_id": "11111111-1111-1111-1111-111111111111",
            "entra_tenant_id": "22222222-2222-2222-2222-222222222222",
            "credential": {"client_secret": "the-secret-value"},
        },
        {"If-Match": "*"},
    )
    assert changed.status == 200, changed.text
    assert changed.json["has_credential"] is True
    for path in (f"/connections/{desk.connection.id}", f"/connections/{desk.connection.id}/audit"):
        assert "the-secret-value" not in (await desk.contoso.get(path)).text


async def test_settings_are_changed_with_the_version_that_was_read(desk: ApiDesk) -> None:
    """ETag and If-Match: two admins never overwrite one another unseen."""
    path = f"/connections/{desk.connection.id}"
    seen = (await desk.contoso.get(path)).headers["ETag"]
    assert (await desk.contoso.send("PATCH", path, {"name": "one"})).problem == "precondition-required"
    first = await desk.contoso.send("PATCH", path, {"name": "one"}, {"If-Match": seen})
    assert (first.status, first.json["name"]) == (200, "one")
    second = await desk.contoso.send("PATCH", path, {"name": "two"}, {"If-Match": seen})
    assert (second.status, second.problem) == (412, "precondition-failed")
    assert second.headers["ETag"] == first.headers["ETag"]
    assert (await desk.contoso.get(path)).json["name"] == "one"


async def test_a_change_of_several_settings_is_made_whole_or_not_at_all(desk: ApiDesk) -> None:
    """Nothing half-written: the name is taken, so mode and interval stay."""
    await desk.contoso.post("/connections", {"tenant": desk.connection.tenant_id, "name": "taken"})
    path = f"/connections/{desk.connection.id}"
    before = (await desk.contoso.get(path)).json
    wanted = {"interval_minutes": 9, "mode": "enforce", "name": "taken"}
    refused = await desk.contoso.send("PATCH", path, wanted, {"If-Match": "*"})
    assert (refused.status, refused.problem) == (409, "name-taken")
    assert (await desk.contoso.get(path)).json == before


async def test_the_mapping_is_changed_with_its_version(desk: ApiDesk) -> None:
    path = f"/connections/{desk.connection.id}/mapping"
    assert (await desk.contoso.get(path)).headers["ETag"] == '"0"'
    body = {"set": {"userName": "mail"}}
    changed = await desk.contoso.send("PATCH", path, body, {"If-Match": '"0"'})
    assert (changed.status, changed.headers["ETag"], changed.json["version"]) == (200, '"1"', 1)
    again = await desk.contoso.send("PATCH", path, body, {"If-Match": '"0"'})
    assert again.problem == "precondition-failed"


async def test_a_paused_connection_is_still_administered(desk: ApiDesk) -> None:
    """A pause stops push and pull; the admin ends it by the same API."""
    path = f"/connections/{desk.connection.id}"
    assert (await desk.contoso.post(f"{path}/pause", {"reason": "check"})).json["state"] == "paused"
    assert (await desk.contoso.post(f"{path}/resume")).json["state"] == "active"
    found = await desk.contoso.database.write(
        lambda conn: connections.get(conn, desk.connection.tenant_id, desk.connection.id)
    )
    assert found.paused_at is None


async def test_a_cycle_is_not_started_where_no_worker_runs(desk: ApiDesk) -> None:
    """The answer says what to start, instead of a job that no one takes."""
    refused = await desk.contoso.post(f"/connections/{desk.connection.id}/cycles")
    assert (refused.status, refused.problem) == (503, "no-worker")
    assert "leaver worker" in refused.json["remedy"]


async def test_a_plan_is_approved_only_where_a_worker_applies_it_and_the_answer_says_where_to_watch(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a worker nothing is decided; with one the answer does not wait for a thousand removals."""
    database, of = desk.contoso.database, (desk.connection.tenant_id, desk.connection.id)
    body = {**Plan(of[1], (), made_at=utc_now()).to_json(), "keys": []}
    plan = await database.write(
        lambda conn: held_plans.hold(
            *(conn, *of, CycleId("c"), "ab" * 32, "many", body), expires_at=utc_now() + timedelta(days=1)
        )
    )
    decision = {"checksum": plan.checksum}
    refused = await desk.contoso.post(f"/plans/{plan.id}/approve", decision)
    assert (refused.status, refused.problem) == (503, "no-worker")
    assert (await desk.contoso.get(f"/plans/{plan.id}")).json["status"] == "held"

    async def is_alive(_url: str) -> bool:
        return True

    async def submit(_services: object, job: Job) -> JobId:
        return job.id

    monkeypatch.setattr("worker.locks.worker_presence.is_worker_alive", is_alive)
    monkeypatch.setattr("worker.jobs.requests._submit", submit)
    taken = await desk.contoso.post(f"/plans/{plan.id}/approve", decision)
    assert taken.status == 202, taken.text
    assert (taken.json["kind"], taken.json["state"]) == ("plan", "queued")
    assert taken.headers["Location"].endswith(f"/connections/{of[1]}/runs/{taken.json['run_id']}")
    async with database.reading() as conn:
        approved = await held_plans.get(conn, of[0], plan.id)
    assert (approved.status, approved.job_id) == (
        PlanStatus.APPROVED,
        f"plan:{of[1]}:{taken.json['run_id'].removeprefix('plan.')}",
    )
