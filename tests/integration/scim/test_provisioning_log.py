"""What a push leaves in the provisioning log beside its changes: refusals, and the ids by which it is found."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from store import tables
from store.records import Action, LogEntry, LogStatus
from tests.builders.scim_client import ScimClient, entra_user


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        pytest.param(
            "POST", "/Users", {"raw": b"<xml/>", "headers": {"Content-Type": "text/xml"}}, 415, id="media"
        ),
        pytest.param("POST", "/Persons", {"raw": b"{}"}, 404, id="nowhere"),
        pytest.param("DELETE", "/Users", {}, 405, id="method"),
        pytest.param("POST", "/Bulk", {"raw": b"[]"}, 400, id="bulk"),
        pytest.param("PATCH", "/Groups/nobody", {"raw": b"{}"}, 400, id="no operations"),
        pytest.param("DELETE", "/Groups/nobody", {}, 404, id="nobody"),
    ],
)
async def test_every_refused_write_is_in_the_provisioning_log(
    scim: ScimClient, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    """issue 4: "every write, skipped and refused ones too", with what the client was told."""
    reply = await scim.send(method, path, **options)
    assert reply.status == status
    [entry] = await scim.log()
    assert (entry.status, entry.steps[-1].detail) == (LogStatus.FAILURE, reply.body["detail"])
    assert entry.steps[-1].data == {"status": status}
    assert entry.steps[0].detail == f"{method} {path}"


async def test_what_is_only_looked_up_is_not_in_the_provisioning_log(scim: ScimClient) -> None:
    """A search that fails changed nothing, whatever its method."""
    assert (await scim.post("/Users/.search", {"filter": "nonsense"})).status == 400
    assert (await scim.get("/Users?filter=nonsense")).status == 400
    assert await scim.log() == ()


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        pytest.param(
            {"ADSCIMVersion": "Date:2026-06-01T08:00:00Z, ActivityId:11111111-2222-4333-8444-555555555555"},
            "11111111-2222-4333-8444-555555555555",
            id="Entra's own",
        ),
        pytest.param(
            {
                "ADSCIMVersion": "Date:x, ActivityId:11111111-2222-4333-8444-555555555555",
                "X-Request-Id": "proxy-4711",
            },
            "11111111-2222-4333-8444-555555555555",
            id="Entra's before a proxy's",
        ),
        pytest.param({"X-Request-Id": "proxy-4711"}, "proxy-4711", id="a proxy's"),
        pytest.param({"X-Request-Id": "no <good> name"}, None, id="an odd one"),
    ],
)
async def test_a_request_is_called_in_the_log_as_its_sender_calls_it(
    scim: ScimClient, headers: dict[str, str], named: str | None
) -> None:
    """issue 4: "the request's correlation ids": an entry here is found by what Entra's log shows."""
    reply = await scim.post("/Users", entra_user("ida@northwind.example"), headers=headers)
    [entry] = await scim.log()
    assert reply.headers["X-Request-Id"] == entry.correlation_id
    assert named in (None, entry.correlation_id)
    if len(headers) == 2:
        assert entry.steps[0].data == {"request_id": "proxy-4711"}


async def test_every_write_is_told_with_old_and_new_values_and_its_dialect(scim: ScimClient) -> None:
    """issue 4: "every write, skipped and refused ones too, with old -> new per attribute", "which dialect was seen"."""
    user = await scim.create_user("ida@northwind.example", title="Curator")
    path, title = f"/Users/{user['id']}", {"path": "title", "value": "Editor"}
    await scim.patch(path, {"op": "Replace", **title})
    await scim.patch(path, {"op": "replace", **title})
    await scim.patch(path, {"op": "Replace", "path": "active", "value": "False"})
    await scim.delete(path)
    told = [(entry.action, entry.status, modified(entry)) for entry in reversed(await scim.log())]
    assert told[1:] == [
        (Action.UPDATE, LogStatus.SUCCESS, {"title": ("Curator", "Editor")}),
        (Action.UPDATE, LogStatus.SKIPPED, {}),
        (Action.DISABLE, LogStatus.SUCCESS, {"active": (True, False)}),
        (Action.DELETE, LogStatus.SUCCESS, {}),
    ]
    assert (told[0][:2], told[0][2]["title"]) == ((Action.CREATE, LogStatus.SUCCESS), (None, "Curator"))
    _, disabled, skipped, changed, _ = await scim.log()
    dialects = [entry.steps[1].detail for entry in (changed, skipped, disabled)]
    assert dialects[0] == dialects[2] != dialects[1]


def modified(entry: LogEntry) -> dict[str, tuple[Any, Any]]:
    return {each["attribute"]: (each["old"], each["new"]) for each in entry.modified}


async def test_a_password_is_nowhere(scim: ScimClient, caplog: pytest.LogCaptureFixture) -> None:
    """issue 4: "bodies redacted"; invariant I9: whatever a client sends along, people sign in through Entra."""
    secret = "correct-horse-battery"
    user = await scim.create_user("ida@northwind.example", password=secret)
    path = f"/Users/{user['id']}"
    for operation in (
        {"op": "Replace", "path": "password", "value": secret},
        {"op": "replace", "value": {"password": secret}},
        {"op": "add", "path": "password", "value": {"value": secret}},
    ):
        assert (await scim.patch(path, operation)).status in (200, 400)
    await scim.put(path, entra_user("ida@northwind.example", password=secret))
    await scim.post("/Users", {"password": secret})
    await scim.send("POST", "/Users", raw=f'{{"password": "{secret}"'.encode())
    async with scim.database.reading() as reading:
        rows = [
            str(row)
            for table in (tables.users, tables.provisioning_log, tables.events, tables.audit_log)
            for row in await reading.execute(select(table))
        ]
    assert [row for row in rows if secret in row] == []
    assert secret not in str((await scim.get(path)).body)
    assert secret not in caplog.text
