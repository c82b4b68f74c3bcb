"""Streams of security events by the admin API: what an administrator sees and does of them."""

from __future__ import annotations

import pytest

from tests.builders.api_client import ApiDesk, tenant_token

PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
PUSHED = {
    "delivery": {
        "method": PUSH,
        "endpoint_url": "https://siem.example/events",
        "authorization_header": "Bearer of-the-receiver",
    },
    "events_requested": [CAEP],
}


async def test_a_stream_is_created_changed_paused_and_deleted(desk: ApiDesk) -> None:
    """What a receiver does by SSF 1.0 an administrator does here; the receiver's secret is never told."""
    made = await desk.contoso.post("/event-streams", PUSHED)
    assert made.status == 201, made.text
    path = f"/event-streams/{made.json['stream_id']}"
    assert (made.json["status"], made.json["events_delivered"]) == ("enabled", [CAEP])
    assert made.json["created_by"].startswith("api:")

    renamed = await desk.contoso.send("PATCH", path, {"description": "SIEM"})
    paused = await desk.contoso.send("PUT", f"{path}/status", {"status": "paused", "reason": "moving"})
    verified = await desk.contoso.post(f"{path}/verify")
    again = await desk.contoso.post(f"{path}/verify")

    assert (renamed.json["description"], renamed.json["delivery"]["method"]) == ("SIEM", PUSH)
    assert (paused.json["status"], paused.json["reason"]) == ("paused", "moving")
    assert (verified.status, again.status, again.problem) == (202, 429, "too-many-requests")
    assert int(again.headers["Retry-After"]) <= 30
    listed = await desk.contoso.get("/event-streams")
    assert [each["stream_id"] for each in listed.json["items"]] == [made.json["stream_id"]]
    as_receiver = await desk.contoso.get("/ssf/streams", stream_id=made.json["stream_id"])
    assert as_receiver.json["description"] == "SIEM"
    for answer in (made, renamed, paused, verified, listed):
        assert "of-the-receiver" not in answer.text
    assert (await desk.contoso.send("DELETE", path)).status == 200
    assert (await desk.contoso.get(path)).problem == "not-found"
    tenant = (await desk.contoso.get("/tenants")).json["items"][0]["slug"]
    audit = (await desk.contoso.get(f"/tenants/{tenant}/audit")).text
    assert "webhook.created" in audit
    assert "webhook.deleted" in audit


async def test_a_stream_of_a_tenant_is_found_by_its_own_and_by_operators_alone(desk: ApiDesk) -> None:
    """design.md §7, I5."""
    made = (await desk.contoso.post("/event-streams", {})).json
    path = f"/event-streams/{made['stream_id']}"
    assert made["delivery"]["method"] == POLL
    for method, rest, body in (
        ("GET", "", None),
        ("PATCH", "", {"description": "mine"}),
        ("PUT", "/status", {"status": "disabled"}),
        ("POST", "/verify", {}),
        ("DELETE", "", None),
    ):
        strange = await desk.fabrikam.send(method, f"{path}{rest}", body)
        assert (strange.status, strange.problem) == (404, "not-found"), method
    assert (await desk.fabrikam.get("/event-streams")).json["items"] == []
    assert (await desk.operator.get(path)).json["tenant_id"] == desk.connection.tenant_id


@pytest.mark.parametrize(
    ("delivery", "pointer"),
    [
        ({"method": PUSH, "endpoint_url": "http://siem.example"}, "/delivery/endpoint_url"),
        ({"method": PUSH, "endpoint_url": "https://10.0.0.1/x"}, "/delivery/endpoint_url"),
        ({"method": "carrier-pigeon"}, "/delivery/method"),
    ],
)
async def test_a_stream_to_where_nothing_may_be_sent_is_refused(
    desk: ApiDesk, delivery: dict[str, str], pointer: str
) -> None:
    refused = await desk.contoso.post("/event-streams", {"delivery": delivery})
    assert (refused.status, refused.problem) == (400, "invalid-request")
    assert refused.json["errors"][0]["pointer"] == pointer


async def test_events_are_not_streamed_to_who_may_not_read_them(desk: ApiDesk) -> None:
    """A stream is a reader of events, by either way of making it."""
    secret = await tenant_token(desk.contoso.database, desk.connection, "admin:webhook:*")
    client = desk.contoso.with_secret(secret)
    for path in ("/event-streams", "/ssf/streams"):
        refused = await client.post(path, PUSHED)
        assert (refused.status, refused.problem) == (403, "permission-missing")
        assert "admin:event:read" in refused.json["detail"]
