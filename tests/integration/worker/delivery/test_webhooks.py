"""Deliveries to real receivers on this machine: signed, in order, and none lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from config.keys import Sealer
from config.settings import Settings
from store.database import Database
from store.directory import receipts, sessions
from store.integration import webhook_endpoints
from store.logs import events
from store.logs.settled_events import settled_events
from store.records import Connection, DisableUser, WebhookEndpoint, WebhookState
from store.tenancy.sealed_values import list_sealed, replace_sealed
from tests.builders.secret_keys import secret_key
from tests.builders.store_rows import create_user, perform
from worker.delivery.deliver import WebhookSender
from worker.delivery.encoding import headers, new_secret
from worker.delivery.run import delivering
from worker.delivery.targets import open_session
from worker.services import build_services

pytestmark = pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
SEALER = Sealer([secret_key("a sender")])
Answer = Callable[[int], Awaitable[web.StreamResponse]]


async def _ok(_number: int) -> web.StreamResponse:
    return web.Response(status=204)


@dataclass
class Receiver:
    """The vendor's app: notes what comes, and answers as it is told."""

    answer: Answer = _ok
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.raw.append(await request.read())
        self.bodies.append(await request.json())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        return await self.answer(len(self.bodies))

    @property
    def ids(self) -> list[str]:
        return [body["id"] for body in self.bodies]


@dataclass
class Post:
    """Contoso's endpoints, and the worker that sends to them."""

    database: Database
    contoso: Connection
    session: aiohttp.ClientSession
    servers: list[TestServer]
    now: datetime = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
    secret: str = field(default_factory=new_secret)

    def sender(self) -> WebhookSender:
        return WebhookSender(
            self.database, self.session, SEALER, "w1", lambda: self.now, True, asyncio.Event()
        )

    async def endpoint(self, receiver: Receiver, *types: str, acknowledges: bool = False) -> WebhookEndpoint:
        app = web.Application()
        app.router.add_post("/hook", receiver.handle)
        server = TestServer(app)
        await server.start_server()
        self.servers.append(server)
        return await self.database.write(
            lambda conn: webhook_endpoints.create(
                conn,
                self.contoso.tenant_id,
                str(server.make_url("/hook")),
                SEALER.seal(self.secret),
                types,
                0,
                acknowledges=acknowledges,
                now=self.now,
            )
        )

    async def deliver(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        """Deliver once, as the endpoint is stored now."""
        through = await settled_events(self.database).settle(1)
        stored = await self.read(endpoint)
        await self.sender().deliver(stored, through)
        return await self.read(endpoint)

    async def read(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        async with self.database.reading() as conn:
            return await webhook_endpoints.get(conn, self.contoso.tenant_id, endpoint.id)

    async def people(self, *names: str) -> list[str]:
        for name in names:
            await create_user(self.database, self.contoso, name)
        async with self.database.reading() as conn:
            return [str(each.id) for each in await events.since(conn, self.contoso.tenant_id, limit=1000)]


@pytest.fixture
async def mail(database: Database, contoso: Connection) -> AsyncIterator[Post]:
    servers: list[TestServer] = []
    async with open_session(allows_loopback=True) as session:
        yield Post(database, contoso, session, servers)
    for server in servers:
        await server.close()


async def test_events_arrive_in_order_and_signed(mail: Post) -> None:
    receiver = Receiver()
    ids = await mail.people("ann", "ben")
    endpoint = await mail.deliver(await mail.endpoint(receiver))
    assert receiver.ids == ids
    sent = receiver.headers[0]
    expected = headers([mail.secret], ids[0], mail.now, receiver.raw[0].decode())
    assert {name: sent[name] for name in expected} == expected
    assert sent["webhook-id"] == ids[0]
    assert endpoint.position == int(ids[-1])
    await mail.deliver(endpoint)
    assert receiver.ids == ids, "what was taken is not sent again"


async def test_an_endpoint_receives_the_types_it_asked_for(mail: Post) -> None:
    receiver = Receiver()
    await mail.people("ann")
    endpoint = await mail.deliver(await mail.endpoint(receiver, "group", "user.deleted"))
    assert receiver.bodies == []
    assert endpoint.position == 0, "no row is written where nothing is sent"


async def test_while_a_secret_is_rotated_the_app_may_check_either(mail: Post) -> None:
    receiver, new = Receiver(), new_secret()
    [event_id] = await mail.people("ann")
    endpoint = await mail.endpoint(receiver)
    until = mail.now + timedelta(hours=1)
    await mail.database.write(
        lambda conn: webhook_endpoints.rotate(
            conn, mail.contoso.tenant_id, endpoint.id, SEALER.seal(new), until
        )
    )
    await mail.deliver(endpoint)
    expected = headers([new, mail.secret], event_id, mail.now, receiver.raw[0].decode())
    assert receiver.headers[0]["webhook-signature"] == expected["webhook-signature"]
    mail.now = until
    await mail.people("ben")
    await mail.deliver(endpoint)
    assert " " not in receiver.headers[1]["webhook-signature"]


async def test_an_endpoint_that_fails_is_tried_again_later_and_loses_nothing(mail: Post) -> None:
    async def third_time(number: int) -> web.StreamResponse:
        return web.Response(status=200 if number > 2 else 500)

    receiver = Receiver(third_time)
    ids = await mail.people("ann", "ben")
    endpoint = await mail.endpoint(receiver)
    for _ in range(2):
        endpoint = await mail.deliver(endpoint)
        assert endpoint.next_attempt_at > mail.now
        assert endpoint.last_error == "answered 500"
        mail.now = endpoint.next_attempt_at
    endpoint = await mail.deliver(endpoint)
    assert receiver.ids == [ids[0], ids[0], ids[0], ids[1]]
    assert (endpoint.attempts, endpoint.failing_since, endpoint.last_error) == (0, None, None)


async def test_one_poisonous_event_does_not_hold_up_the_others(mail: Post) -> None:
    """It is set aside as a dead letter after three attempts, and the rest goes on."""
    ids = await mail.people("ann", "ben", "cy")
    receiver = Receiver()

    async def not_the_first(_number: int) -> web.StreamResponse:
        return web.Response(status=400 if receiver.ids[-1] == ids[0] else 204)

    receiver.answer = not_the_first
    endpoint = await mail.endpoint(receiver)
    for _ in range(4):
        endpoint = await mail.deliver(endpoint)
        mail.now = max(mail.now, endpoint.next_attempt_at)
    assert receiver.ids == [ids[0]] * 3 + ids[1:]
    async with mail.database.reading() as conn:
        [letter] = await webhook_endpoints.dead_letters(conn, mail.contoso.tenant_id, endpoint.id)
    assert (str(letter.event_id), letter.why) == (ids[0], "answered 400")


async def test_an_endpoint_that_never_answers_right_is_disabled_after_three_days_and_replayed(
    mail: Post,
) -> None:
    """Issue 11: "500 for ever"; what was not sent is still there when the app is back."""

    async def never(_number: int) -> web.StreamResponse:
        return web.Response(status=500)

    receiver = Receiver(never)
    ids = await mail.people("ann", "ben")
    endpoint, began = await mail.endpoint(receiver), mail.now
    for _ in range(100):
        endpoint = await mail.deliver(endpoint)
        if endpoint.state is WebhookState.DISABLED:
            break
        mail.now = endpoint.next_attempt_at
    assert timedelta(days=3) <= mail.now - began < timedelta(days=4)
    assert len(receiver.ids) < 40, "tried less and less often"
    receiver.answer, receiver.bodies = _ok, []
    await mail.database.write(
        lambda conn: webhook_endpoints.replay(conn, mail.contoso.tenant_id, endpoint.id, 0, mail.now)
    )
    await mail.deliver(endpoint)
    assert receiver.ids == ids


async def test_410_ends_deliveries_at_once_and_a_redirect_is_not_followed(mail: Post) -> None:
    elsewhere = Receiver()
    other = await mail.endpoint(elsewhere)

    async def gone(_number: int) -> web.StreamResponse:
        return web.Response(status=410)

    async def moved(_number: int) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": other.url})

    await mail.people("ann")
    assert (await mail.deliver(await mail.endpoint(Receiver(gone)))).state is WebhookState.DISABLED
    endpoint = await mail.deliver(await mail.endpoint(Receiver(moved)))
    assert endpoint.last_error == "answered 307"
    assert elsewhere.bodies == []


async def test_a_worker_that_dies_before_it_saved_sends_again_with_the_same_id(mail: Post) -> None:
    """Issue 11: "loses nothing and doubles nothing in effect (event id)"."""
    receiver = Receiver()
    ids = await mail.people("ann")
    endpoint = await mail.endpoint(receiver)
    through = await settled_events(mail.database).settle(1)
    sender = mail.sender()
    await mail.database.write(lambda conn: webhook_endpoints.claim(conn, endpoint, "dead", mail.now, 120))
    [event] = await sender._pending(endpoint, through)
    await sender.send(endpoint, event, await sender.encoding(endpoint))
    await mail.deliver(endpoint)
    assert receiver.ids == ids, "claimed by the dead worker for a while"
    mail.now += timedelta(seconds=121)
    await mail.deliver(endpoint)
    assert receiver.ids == ids * 2


async def test_a_claimed_endpoint_is_sent_to_by_one_worker(mail: Post) -> None:
    receiver = Receiver()
    ids = await mail.people("ann")
    endpoint = await mail.endpoint(receiver)
    through = await settled_events(mail.database).settle(1)
    senders = [replace(mail.sender(), worker=name) for name in ("w1", "w2", "w3")]
    await asyncio.gather(*(each.deliver(endpoint, through) for each in senders))
    assert receiver.ids == ids


async def test_endpoints_of_one_host_that_hang_delay_no_other_of_that_host(mail: Post) -> None:
    """A vendor with an endpoint for each customer has them all at one host; ten of a hundred may hang."""
    released, quick = asyncio.Event(), Receiver()

    async def hang(_number: int) -> web.StreamResponse:
        await released.wait()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/slow/{number}", Receiver(hang).handle)
    app.router.add_post("/quick", quick.handle)
    server = TestServer(app)
    await server.start_server()
    mail.servers.append(server)
    made = [
        await mail.database.write(
            lambda conn, path=path: webhook_endpoints.create(  # type: ignore[misc]
                *(conn, mail.contoso.tenant_id, str(server.make_url(path)), SEALER.seal(mail.secret)),
                *((), 0),
                now=mail.now,
            )
        )
        for path in (*(f"/slow/{number}" for number in range(10)), "/quick")
    ]
    await mail.people("ann")
    hanging = [asyncio.create_task(mail.deliver(each)) for each in made[:-1]]
    await asyncio.sleep(0.1)
    await asyncio.wait_for(mail.deliver(made[-1]), 3)
    assert len(quick.ids) == 1
    released.set()
    await asyncio.gather(*hanging)


async def test_an_endpoint_that_hangs_delays_neither_another_nor_a_deprovision(mail: Post) -> None:
    """Issue 11: "nothing here delays or fails a deprovision"."""
    reached, released = asyncio.Event(), asyncio.Event()

    async def hang(_number: int) -> web.StreamResponse:
        reached.set()
        await released.wait()
        return web.Response(status=204)

    ann = await create_user(mail.database, mail.contoso, "ann")
    slow, quick = Receiver(hang), Receiver()
    hanging = asyncio.create_task(mail.deliver(await mail.endpoint(slow)))
    await reached.wait()
    began = time.monotonic()
    await perform(mail.database, mail.contoso, DisableUser(ann.id))
    await mail.deliver(await mail.endpoint(quick))
    assert time.monotonic() - began < 2
    assert [body["type"] for body in quick.bodies] == ["user.provisioned", "user.deprovisioned"]
    released.set()
    await hanging


async def test_an_answer_that_never_ends_costs_nothing(mail: Post) -> None:
    """Issue 11: "answer 200 slowly", and flood: what was decided is in the status, the body is not read."""

    def endless(status: int) -> Answer:
        async def answer(_number: int) -> web.StreamResponse:
            response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
            await response.prepare(requests[-1])
            with suppress(ConnectionResetError):
                while True:
                    await response.write(b"{" * 1_000)
                    await asyncio.sleep(0.01)
            return response

        return answer

    requests: list[web.Request] = []

    @dataclass
    class Flooding(Receiver):
        async def handle(self, request: web.Request) -> web.StreamResponse:
            requests.append(request)
            return await super().handle(request)

    await mail.people("ann")
    began = time.monotonic()
    assert (await mail.deliver(await mail.endpoint(Flooding(endless(200))))).last_error is None
    assert (await mail.deliver(await mail.endpoint(Flooding(endless(400))))).last_error == "answered 400"
    assert time.monotonic() - began < 3


async def test_an_endpoint_that_does_not_answer_in_time_is_given_up_for_now(
    mail: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = asyncio.Event()

    async def hang(_number: int) -> web.StreamResponse:
        await released.wait()
        return web.Response(status=204)

    await mail.people("ann")
    endpoint = await mail.endpoint(Receiver(hang))
    monkeypatch.setattr("worker.delivery.targets.TIMEOUT_S", 0.1)
    async with open_session(allows_loopback=True) as session:
        mail.session = session
        failed = await mail.deliver(endpoint)
    assert (failed.attempts, failed.last_error) == (1, "did not answer within 0.1 seconds")
    released.set()


async def test_a_clock_that_jumps_neither_stalls_nor_ends_deliveries(mail: Post) -> None:
    """Issue 11: "clock jumps". Back by a year: nothing waits for a time that was written before. Ahead by a
    year: an endpoint that failed once is not given up.
    """
    healthy, failing = await mail.endpoint(Receiver()), await mail.endpoint(Receiver(lambda _n: _status(500)))
    ids = await mail.people("ann")
    for endpoint in (healthy, failing):
        await mail.deliver(endpoint)
    claimed = await mail.read(failing)
    await mail.database.write(lambda conn: webhook_endpoints.claim(conn, claimed, "dead", mail.now, 120))

    mail.now -= timedelta(days=365)
    async with mail.database.reading() as conn:
        due = await webhook_endpoints.active(conn, mail.now)
    assert {each.id for each in due} == {healthy.id, failing.id}
    assert (await mail.deliver(failing)).attempts == 2

    mail.now += timedelta(days=730)
    ahead = await mail.deliver(failing)
    assert (ahead.state, ahead.attempts) == (WebhookState.ACTIVE, 3)
    assert (await mail.read(healthy)).position == int(ids[-1])


async def _status(status: int) -> web.StreamResponse:
    return web.Response(status=status)


async def test_every_receiver_dead_delays_no_deprovision(
    mail: Post, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 11: "nothing here delays or fails a deprovision (a test with every receiver dead)"."""
    monkeypatch.setenv("LEAVER_ALLOW_SIMULATOR", "1")
    released = asyncio.Event()

    async def hang(_number: int) -> web.StreamResponse:
        await released.wait()
        return web.Response(status=204)

    settings = Settings(database_url=database_url, secret_key=(SecretStr(secret_key("a sender")),))
    receivers = (Receiver(hang), Receiver(lambda _n: _status(500)), Receiver(lambda _n: _status(410)))
    endpoints = [await mail.endpoint(each) for each in receivers]
    closed = await mail.endpoint(Receiver())
    await mail.servers.pop().close()
    ann = await create_user(mail.database, mail.contoso, "ann")
    _, secret = await mail.database.write(lambda conn: sessions.start(conn, mail.contoso.tenant_id, ann.id))
    async with delivering(build_services(settings, mail.database)):
        while not all(each.bodies for each in receivers) or (await mail.read(closed)).attempts == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        began = time.monotonic()
        await perform(mail.database, mail.contoso, DisableUser(ann.id))
        took_s = time.monotonic() - began
        async with mail.database.reading() as conn:
            assert await sessions.find_live(conn, secret) is None
        released.set()
    assert took_s < 1
    assert (await mail.read(endpoints[2])).state is WebhookState.DISABLED


async def test_a_delivered_end_of_sessions_acknowledges_its_receipt(mail: Post) -> None:
    """Issue 11: unacknowledged ones older than five minutes are counted until the app knows."""
    ann = await create_user(mail.database, mail.contoso, "ann")
    await mail.database.write(lambda conn: sessions.start(conn, mail.contoso.tenant_id, ann.id))
    await perform(mail.database, mail.contoso, DisableUser(ann.id))
    later = datetime.now(UTC) + timedelta(minutes=6)

    async def waiting() -> int:
        async with mail.database.reading() as conn:
            return await receipts.count_unacknowledged(conn, later)

    assert await waiting() == 1
    receiver = Receiver()
    endpoint = await mail.endpoint(receiver, "session.revoked", acknowledges=True)
    await mail.deliver(endpoint)
    assert [body["type"] for body in receiver.bodies] == ["session.revoked"]
    assert await waiting() == 0
    async with mail.database.reading() as conn:
        [receipt] = await receipts.list_for_user(conn, mail.contoso.tenant_id, ann.id)
    assert receipt.acknowledged_by == f"webhook:{endpoint.id}"


@pytest.mark.parametrize(("acknowledges", "still_open"), [(True, 0), (False, 1)])
async def test_an_endpoint_that_only_listens_acknowledges_nothing(
    mail: Post, acknowledges: bool, still_open: int
) -> None:
    """The taken end of a person's access is known to the app; a chat room that is told of it is not the app."""
    ann = await create_user(mail.database, mail.contoso, "ann")
    await mail.database.write(lambda conn: sessions.start(conn, mail.contoso.tenant_id, ann.id))
    await perform(mail.database, mail.contoso, DisableUser(ann.id))
    endpoint = await mail.endpoint(Receiver(), "user.deprovisioned", acknowledges=acknowledges)
    await mail.deliver(endpoint)
    later = datetime.now(UTC) + timedelta(minutes=6)
    async with mail.database.reading() as conn:
        assert await receipts.count_unacknowledged(conn, later) == still_open


async def test_secrets_are_sealed_anew_when_the_key_changes(mail: Post) -> None:
    """`leaver db reseal` finds the secrets of operators' endpoints too."""
    sealed = SEALER.seal(new_secret())
    made = await mail.database.write(
        lambda conn: webhook_endpoints.create(conn, None, "https://app.example/", sealed, (), 0)
    )
    async with mail.database.reading() as conn:
        [value] = [each for each in await list_sealed(conn) if each.id == made.id]
    assert await mail.database.write(lambda conn: replace_sealed(conn, [(value, "anew")])) == 1
    async with mail.database.reading() as conn:
        assert await webhook_endpoints.sealed_secrets(conn, None, made.id, mail.now) == ["anew"]


async def test_the_worker_sends_within_two_seconds_of_the_commit_though_others_hang(
    mail: Post, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 11: "from commit to webhook received p99 <= 2 s" with endpoints that hang."""
    monkeypatch.setenv("LEAVER_ALLOW_SIMULATOR", "1")
    released, arrived = asyncio.Event(), asyncio.Event()

    async def hang(_number: int) -> web.StreamResponse:
        await released.wait()
        return web.Response(status=204)

    async def note(_number: int) -> web.StreamResponse:
        arrived.set()
        return web.Response(status=204)

    settings = Settings(database_url=database_url, secret_key=(SecretStr(secret_key("a sender")),))
    for receiver in (Receiver(hang), Receiver(hang), Receiver(note)):
        await mail.endpoint(receiver)
    async with delivering(build_services(settings, mail.database)):
        await mail.people("ann")
        await asyncio.wait_for(arrived.wait(), 2)
        released.set()


async def test_an_endpoint_that_takes_what_it_is_sent_gets_the_next_batch_at_once(
    mail: Post, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of leavers at once: an app that answers waits for no next look, which is an hour away here."""
    monkeypatch.setenv("LEAVER_ALLOW_SIMULATOR", "1")
    monkeypatch.setattr("worker.delivery.run.LOOK_EVERY_S", 3_600)
    monkeypatch.setattr("worker.delivery.deliver.BATCH", 2)
    ids, all_came = await mail.people("ann", "ben", "cy", "dee", "eve"), asyncio.Event()

    async def note(number: int) -> web.StreamResponse:
        if number == len(ids):
            all_came.set()
        return web.Response(status=204)

    receiver = Receiver(note)
    await mail.endpoint(receiver)
    await settled_events(mail.database).settle(1)
    settings = Settings(database_url=database_url, secret_key=(SecretStr(secret_key("a sender")),))
    async with delivering(build_services(settings, mail.database)):
        await asyncio.wait_for(all_came.wait(), 20)
    assert receiver.ids == ids
