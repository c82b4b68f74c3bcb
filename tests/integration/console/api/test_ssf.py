"""The transmitter of security events against an independent receiver: SSF 1.0, RFC 8417, 8935, 8936, 9967."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from config.keys import Sealer
from config.settings import SignatureAlgorithm
from store.database import Database
from store.directory import receipts, sessions
from store.integration import event_streams, webhook_endpoints
from store.keys import utc_now
from store.logs.settled_events import settled_events
from store.records import (
    ChangeHolder,
    ChangeUser,
    DeleteUser,
    DisableUser,
    GraphId,
    UserId,
    WebhookEndpoint,
)
from tests.builders.api_client import ApiClient, ApiDesk
from tests.builders.scim_connections import PUBLIC_URL
from tests.builders.secret_keys import secret_key
from tests.builders.set_receiver import SetError, SetReceiver
from tests.builders.store_rows import perform, setting
from worker.delivery import security_tokens
from worker.delivery.deliver import WebhookSender
from worker.delivery.targets import open_session

PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
PROV = "urn:ietf:params:scim:event:prov:"
SEALER = Sealer([secret_key("a desk")])


@dataclass
class Inbox:
    """A push receiver: 202 once a token is verified, else the error of RFC 8935 §2.3."""

    receiver: SetReceiver | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    refuses: bool = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        assert self.receiver is not None
        try:
            if self.refuses:
                raise SetError("invalid_key", "not now")
            self.receiver.take((await request.read()).decode())
        except SetError as error:
            return web.json_response(
                {"err": error.code, "description": str(error)}, status=400, headers={"Content-Language": "en"}
            )
        return web.Response(status=202)


@pytest.fixture
async def inbox() -> AsyncIterator[tuple[Inbox, str]]:
    found, app = Inbox(), web.Application()
    app.router.add_post("/events", found.handle)
    async with TestServer(app) as server:
        yield found, str(server.make_url("/events"))


async def receiver_of(client: ApiClient, stream: dict[str, Any]) -> SetReceiver:
    """What a receiver knows: discovery, the keys behind it, and its own stream."""
    configuration = (await client.get("/.well-known/ssf-configuration")).json
    assert configuration["issuer"] == stream["iss"] == PUBLIC_URL
    path = configuration["jwks_uri"].removeprefix(PUBLIC_URL)
    answer = await client.get(path)
    assert "max-age=300" in answer.headers["Cache-Control"]
    keys = {each["kid"]: each for each in answer.json["keys"]}
    assert not any({"d", "p", "q", "k"} & each.keys() for each in keys.values())
    return SetReceiver(stream["iss"], stream["aud"], keys)


async def create(client: ApiClient, **body: Any) -> dict[str, Any]:
    made = await client.post("/ssf/streams", body)
    assert made.status == 201, made.text
    return dict(made.json)


async def deliver(database: Database, stream: str) -> WebhookEndpoint:
    """Do what the worker does for one endpoint."""
    through = await settled_events(database).settle(1)
    async with database.reading() as conn:
        endpoint = await webhook_endpoints.get(conn, None, stream)
    async with open_session(allows_loopback=True) as http:
        await WebhookSender(database, http, SEALER, "w", utc_now, True, asyncio.Event()).deliver(
            endpoint, through
        )
    async with database.reading() as conn:
        return await webhook_endpoints.get(conn, None, stream)


async def poll(client: ApiClient, stream: dict[str, Any], **body: Any) -> dict[str, Any]:
    path = stream["delivery"]["endpoint_url"].removeprefix(PUBLIC_URL)
    answer = await client.post(path, {"returnImmediately": True, **body})
    assert answer.status == 200, answer.text
    return dict(answer.json)


async def sign_in(database: Database, desk: ApiDesk) -> None:
    await database.write(lambda conn: sessions.start(conn, desk.connection.tenant_id, UserId(desk.user)))


async def test_a_leaver_is_pushed_as_signed_tokens_of_one_cause(
    desk: ApiDesk, database: Database, inbox: tuple[Inbox, str]
) -> None:
    """RISC account-disabled, CAEP session-revoked and SCIM deactivate; by ids, never by an e-mail address."""
    box, url = inbox
    stream = await create(
        desk.contoso,
        delivery={"method": PUSH, "endpoint_url": url, "authorization_header": "Bearer of-the-receiver"},
    )
    assert "of-the-receiver" not in str(stream)
    its_app = await desk.contoso.send(
        "PATCH", f"/event-streams/{stream['stream_id']}", {"acknowledges": True}
    )
    assert its_app.json["acknowledges"]
    box.receiver = await receiver_of(desk.contoso, stream)
    await sign_in(database, desk)
    await perform(database, desk.connection, DisableUser(UserId(desk.user)))

    await deliver(database, stream["stream_id"])

    assert [uri for uri, _ in box.receiver.events] == [
        f"{RISC}account-disabled",
        f"{PROV}deactivate",
        f"{CAEP}session-revoked",
    ]
    claims = list(box.receiver.seen.values())
    user = {"format": "iss_sub", "iss": PUBLIC_URL, "sub": desk.user}
    assert [each["sub_id"] for each in claims] == [
        user,
        {"format": "scim", "uri": f"/Users/{desk.user}"},
        {
            "format": "complex",
            "user": user,
            "tenant": {"format": "opaque", "id": desk.connection.tenant_id},
        },
    ]
    assert {each["txn"] for each in claims} == {"request-1"}
    revoked = box.receiver.events[-1][1]
    assert (revoked["event_timestamp"], revoked["initiating_entity"]) == (claims[-1]["toe"], "admin")
    assert revoked["reason_admin"]["en"]
    assert "ann" not in str(claims)
    [sent, *_] = box.requests
    assert (sent["content-type"], sent["accept"]) == ("application/secevent+jwt", "application/json")
    assert sent["authorization"] == "Bearer of-the-receiver"
    async with database.reading() as conn:
        [receipt] = await receipts.list_for_user(conn, desk.connection.tenant_id, UserId(desk.user))
    assert receipt.acknowledged_by == f"webhook:{stream['stream_id']}", "said of this receiver"


async def test_discovery_names_all_that_the_interoperability_profile_asks_for(desk: ApiDesk) -> None:
    """CAEP interoperability profile: metadata whose every endpoint is there, for a bearer token in the header.

    The token may be one that lives an hour, got by client credentials at `/oauth/token`.
    """
    found = (await desk.contoso.get("/.well-known/ssf-configuration")).json
    assert found["spec_version"] >= "1_0"
    assert set(found["delivery_methods_supported"]) == {PUSH, POLL}
    assert found["authorization_schemes"] == [{"spec_urn": "urn:ietf:rfc:6749"}]
    assert found["default_subjects"] == "ALL"
    form = {
        "grant_type": "client_credentials",
        "client_id": desk.connection.id,
        "client_secret": desk.contoso.secret,
    }
    async with desk.contoso.http.post("/oauth/token", data=form) as answer:
        given = await answer.json()
    assert 0 < given["expires_in"] <= 3_600
    hour, stranger = desk.contoso.with_secret(given["access_token"]), desk.contoso.with_secret("")
    stream = await create(hour)
    for name in ("configuration_endpoint", "status_endpoint"):
        path = f"{found[name].removeprefix(PUBLIC_URL)}?stream_id={stream['stream_id']}"
        assert (await hour.get(path)).status == 200, name
        assert (await stranger.get(f"{path}&access_token={hour.secret}")).status == 401, name
    verify = found["verification_endpoint"].removeprefix(PUBLIC_URL)
    assert (await hour.post(verify, {"stream_id": stream["stream_id"]})).status == 204


async def test_a_receiver_polls_acknowledges_and_is_told_nothing_twice(
    desk: ApiDesk, database: Database
) -> None:
    """RFC 8936: what is not acknowledged comes again under the same `jti`; several acks in any order."""
    stream = await create(desk.contoso)
    receiver = await receiver_of(desk.contoso, stream)
    user = UserId(desk.user)
    await perform(database, desk.connection, DisableUser(user))
    await perform(database, desk.connection, ChangeUser(user, setting(active=True)))
    await perform(database, desk.connection, ChangeHolder(user, GraphId("entra-ben")))
    await perform(database, desk.connection, DeleteUser(user))

    first = await poll(desk.contoso, stream, maxEvents=2)
    again = await poll(desk.contoso, stream, maxEvents=2)
    assert first["moreAvailable"] is True
    assert first["sets"].keys() == again["sets"].keys()
    [one, two] = first["sets"]
    rest = await poll(desk.contoso, stream, ack=[two, "garbled", "0.0", f"{stream['stream_id']}.9999.0"])
    assert two not in rest["sets"]
    assert one in rest["sets"]
    for jti, token in {**first["sets"], **rest["sets"]}.items():
        assert receiver.take(token)["jti"] == jti
    assert [uri for uri, _ in receiver.events] == [
        f"{RISC}account-disabled",
        f"{PROV}deactivate",
        f"{RISC}account-enabled",
        f"{PROV}activate",
        f"{CAEP}session-revoked",
        f"{PROV}patch:notice",
        f"{PROV}patch:notice",  # of the group that the account leaves
        f"{RISC}account-purged",
        f"{PROV}delete",
    ]
    done = await poll(desk.contoso, stream, ack=list(receiver.seen))
    assert done == {"sets": {}, "moreAvailable": False}
    async with database.reading() as conn:
        assert await event_streams.acknowledged(conn, None, stream["stream_id"]) == set()
    assert (await desk.fabrikam.post(f"/ssf/poll/{stream['stream_id']}", {})).status == 404


async def test_a_token_that_the_receiver_refuses_is_a_dead_letter_and_comes_no_more(
    desk: ApiDesk, database: Database
) -> None:
    """RFC 8936 §2.4.4: setErrs."""
    stream = await create(desk.contoso, events_requested=[f"{RISC}account-disabled", "urn:unknown"])
    assert stream["events_delivered"] == [f"{RISC}account-disabled"]
    await perform(database, desk.connection, DisableUser(UserId(desk.user)))
    [jti] = (await poll(desk.contoso, stream))["sets"]
    refused = {jti: {"err": "invalid_key", "description": "unknown kid"}}
    assert (await poll(desk.contoso, stream, maxEvents=0, setErrs=refused))["sets"] == {}
    assert (await poll(desk.contoso, stream))["sets"] == {}
    async with database.reading() as conn:
        [letter] = await webhook_endpoints.dead_letters(conn, None, stream["stream_id"])
    assert letter.why == "refused: invalid_key"


async def test_a_poll_waits_for_the_next_event(desk: ApiDesk, database: Database) -> None:
    """RFC 8936 §2.4: returnImmediately is false by default."""
    stream = await create(desk.contoso)
    waiting = asyncio.create_task(poll(desk.contoso, stream, returnImmediately=False))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await perform(database, desk.connection, DisableUser(UserId(desk.user)))
    assert len((await asyncio.wait_for(waiting, 3))["sets"]) == 2


async def test_a_push_that_is_refused_is_tried_again_with_the_error_code_kept(
    desk: ApiDesk, database: Database, inbox: tuple[Inbox, str]
) -> None:
    """The same back-off and dead letters as for webhooks."""
    box, url = inbox
    stream = await create(desk.contoso, delivery={"method": PUSH, "endpoint_url": url})
    box.receiver, box.refuses = await receiver_of(desk.contoso, stream), True
    await perform(database, desk.connection, DisableUser(UserId(desk.user)))
    failed = await deliver(database, stream["stream_id"])
    assert (failed.attempts, failed.last_error) == (1, "answered 400 invalid_key")
    assert failed.next_attempt_at > utc_now()
    box.refuses = False
    await deliver(database, stream["stream_id"])
    assert len(box.receiver.seen) == 2


async def test_the_receiver_verifies_the_stream_by_push_and_by_poll(
    desk: ApiDesk, database: Database, inbox: tuple[Inbox, str]
) -> None:
    """SSF 1.0 §8.1.4: the state comes back; too often is 429."""
    box, url = inbox
    for delivery in ({"method": PUSH, "endpoint_url": url}, {"method": POLL}):
        stream = await create(desk.contoso, delivery=delivery)
        receiver = await receiver_of(desk.contoso, stream)
        asked = {"stream_id": stream["stream_id"], "state": "VGhpcyBpcyBhIHRlc3Q"}
        assert (await desk.contoso.post("/ssf/verify", asked)).status == 204
        again = await desk.contoso.post("/ssf/verify", asked)
        assert (again.status, again.problem) == (429, "too-many-requests")
        assert int(again.headers["Retry-After"]) <= stream["min_verification_interval"]
        if delivery["method"] == PUSH:
            box.receiver = receiver
            await deliver(database, stream["stream_id"])
        else:
            for token in (await poll(desk.contoso, stream))["sets"].values():
                receiver.take(token)
            assert (await poll(desk.contoso, stream, ack=list(receiver.seen)))["sets"] == {}
        [(uri, payload)] = receiver.events
        assert (uri, payload) == (f"{SSF}verification", {"state": "VGhpcyBpcyBhIHRlc3Q"})
        [claims] = receiver.seen.values()
        assert claims["sub_id"] == {"format": "opaque", "id": stream["stream_id"]}


async def test_a_paused_stream_keeps_and_a_disabled_one_does_not(desk: ApiDesk, database: Database) -> None:
    """SSF 1.0 §8.1.2: status."""
    stream = await create(
        desk.contoso, events_requested=[f"{RISC}account-disabled", f"{RISC}account-enabled"]
    )
    receiver = await receiver_of(desk.contoso, stream)
    path, user = f"/ssf/status?stream_id={stream['stream_id']}", UserId(desk.user)
    assert (await desk.contoso.get(path)).json["status"] == "enabled"
    for status, change in (
        ("paused", DisableUser(user)),
        ("disabled", ChangeUser(user, setting(active=True))),
    ):
        told = {"stream_id": stream["stream_id"], "status": status, "reason": "Maintenance"}
        assert (await desk.contoso.post("/ssf/status", told)).json == told
        await perform(database, desk.connection, change)
        assert (await poll(desk.contoso, stream))["sets"] == {}
        told |= {"status": "enabled"}
        assert (await desk.contoso.post("/ssf/status", told)).json["status"] == "enabled"
        for token in (await poll(desk.contoso, stream))["sets"].values():
            receiver.take(token)
    named = [uri.rpartition("/")[2] for uri, _ in receiver.events]
    assert [each for each in named if each != "stream-updated"] == ["account-disabled"]
    assert "stream-updated" in named


async def test_streams_are_read_changed_and_deleted_by_their_own_tenant(
    desk: ApiDesk, inbox: tuple[Inbox, str]
) -> None:
    """SSF 1.0 §8.1.1; 404 for another receiver's; iss and aud never change."""
    stream = await create(desk.contoso, description="SIEM")
    stream_id = stream["stream_id"]
    assert (await desk.contoso.get("/ssf/streams")).json == [stream]
    assert (await desk.fabrikam.get("/ssf/streams")).json == []
    body = {"stream_id": stream_id, "events_requested": [f"{CAEP}session-revoked"]}
    patched = await desk.contoso.send("PATCH", "/ssf/streams", body)
    assert (patched.json["events_delivered"], patched.json["description"]) == (
        body["events_requested"],
        "SIEM",
    )
    replaced = await desk.contoso.send(
        "PUT", "/ssf/streams", {**body, "delivery": {"method": PUSH, "endpoint_url": inbox[1]}}
    )
    assert "description" not in replaced.json
    assert replaced.json["delivery"] == {"method": PUSH, "endpoint_url": inbox[1]}
    for method, path, sent in (
        ("GET", f"/ssf/streams?stream_id={stream_id}", None),
        ("PATCH", "/ssf/streams", body),
        ("DELETE", f"/ssf/streams?stream_id={stream_id}", None),
        ("POST", "/ssf/status", {"stream_id": stream_id, "status": "disabled"}),
        ("POST", "/ssf/verify", {"stream_id": stream_id}),
    ):
        assert (await desk.fabrikam.send(method, path, sent)).status == 404, path
    for wrong in ({"iss": "https://evil.example"}, {"aud": "another"}):
        assert (await desk.contoso.send("PATCH", "/ssf/streams", {**body, **wrong})).status == 400
    assert (await desk.contoso.send("DELETE", f"/ssf/streams?stream_id={stream_id}")).status == 204
    assert (await desk.contoso.get(f"/ssf/streams?stream_id={stream_id}")).status == 404


async def test_a_wrong_request_is_400_and_leaves_no_stream(desk: ApiDesk) -> None:
    """The SSRF rules of webhooks hold for push; what a body cannot be is named."""
    for body in (
        {"delivery": {"method": "urn:other"}},
        {"delivery": {"method": PUSH}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://10.0.0.1/"}},
        {"delivery": {"method": PUSH, "endpoint_url": "http://app.example/"}},
        {"delivery": {"method": POLL}, "events_requested": "all"},
        {"description": "x\ny"},
        {
            "delivery": {
                "method": PUSH,
                "endpoint_url": "https://a.example/",
                "authorization_header": "a\r\nb",
            }
        },
    ):
        assert (await desk.contoso.post("/ssf/streams", body)).status == 400, body
    assert (await desk.contoso.get("/ssf/streams")).json == []
    stream = await create(desk.contoso)
    for wrong in ({"maxEvents": -1}, {"ack": "x"}, {"setErrs": {"x": "y"}}, {"returnImmediately": "no"}):
        answer = await desk.contoso.post(f"/ssf/poll/{stream['stream_id']}", wrong)
        assert answer.status == 400, wrong
    assert (await desk.contoso.with_secret("leaver_x").get("/ssf/streams")).status == 401


@pytest.mark.parametrize("algorithm", list(SignatureAlgorithm))
async def test_two_keys_are_published_while_a_key_is_rotated(
    desk: ApiDesk, database: Database, algorithm: SignatureAlgorithm
) -> None:
    """A new key is published before it signs; a key that others know goes at once."""
    stream = await create(desk.operator)

    async def rotate(*, at_once: bool) -> None:
        key = security_tokens.new_key(algorithm)
        await database.write(
            lambda conn: security_tokens.rotate(conn, SEALER, key, algorithm, utc_now(), at_once=at_once)
        )

    await perform(database, desk.connection, DisableUser(UserId(desk.user)))
    await rotate(at_once=False)
    receiver = await receiver_of(desk.operator, stream)
    assert len(receiver.keys) == 2
    for token in (await poll(desk.operator, stream))["sets"].values():
        receiver.take(token)
    later = utc_now() + security_tokens.SIGNS_AFTER
    async with database.reading() as conn:
        assert (await security_tokens.current(conn, SEALER, later)).alg == algorithm.value
    await rotate(at_once=True)
    fresh = await receiver_of(desk.operator, stream)
    assert len(fresh.keys) == 1
    assert not fresh.keys.keys() & receiver.keys.keys()
    for token in (await poll(desk.operator, stream))["sets"].values():
        assert fresh.take(token)["jti"] in receiver.seen, "the same tokens, signed anew"
        with pytest.raises(SetError):
            receiver.take(token)
