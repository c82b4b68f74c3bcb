"""What a push leaves in the provisioning log beside its changes: refusals, and the ids by which it is found."""

from __future__ import annotations

from typing import Any

import pytest

from store.records import LogStatus
from tests.integration.scim.client import ScimClient, entra_user


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
