"""Leavers of every kind from the change in the directory to the session that is dead in the vendor's app.

`python -m benchmarks.workers.leavers --leaves 10000 --minutes 15 --interval 5` is the size of the goal. The simulated
Entra tenant, PostgreSQL and two workers are processes of their own; a worker is killed (SIGKILL) now and then and started
again. This process is the directory's admin and the app, whose sessions end by webhook. The ceilings are lifted: nothing
is held.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from standardwebhooks import Webhook, WebhookVerificationError

from benchmarks.company import company
from benchmarks.cycles.full_cycle import connect, leaver
from benchmarks.workers.leaver_times import Leave, evaluate, show
from benchmarks.workers.revocation import HERE, KEY, Worker
from config.settings import Settings
from console.admin.events import webhooks
from console.admin.services import Services, open_services
from store import tables
from store.directory import sessions, users
from store.records import Ceilings, Connection
from store.tenancy import connections
from tests.databases.postgres_server import running_postgres

KINDS = ("disabled", "soft-deleted", "purged", "unassigned", "removed from group")
STAY_FOR_EACH = 1.0
"""So many people stay for each who leaves: no cycle sees half of the company gone."""
KILLED_EVERY_S = (20.0, 60.0)
AT_ONCE = 8
PEOPLE_A_GROUP = 50
LATE_S = 300.0
"""How long after the next cycle the last acknowledgement may take before the run ends."""


@dataclass
class App:
    """The vendor's app: keeps who is signed in, and ends what a signed webhook names."""

    secret: str = ""
    signed_in: dict[str, str] = field(default_factory=dict)
    """By session, the account."""
    ended: dict[str, datetime] = field(default_factory=dict)
    """By account, when its session died here."""
    told: dict[str, list[str]] = field(default_factory=dict)
    """By account, the ids of the events that came."""

    async def hear(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            event = Webhook(self.secret).verify(body, {k.lower(): v for k, v in request.headers.items()})
        except WebhookVerificationError:
            return web.Response(status=401)
        self.told.setdefault(event["subject"]["id"], []).append(event["id"])
        for each in event["data"].get("ended", ()):
            account = self.signed_in.pop(each["id"], None)
            if account is not None:
                self.ended[account] = datetime.now(UTC)
        return web.Response(status=204)

    async def hang(self, _request: web.Request) -> web.Response:
        await asyncio.sleep(3_600)
        return web.Response(status=204)


@dataclass(frozen=True)
class Entra:
    """The admin side of the simulated tenant."""

    http: aiohttp.ClientSession
    url: str

    async def send(self, method: str, path: str, body: object = None) -> Any:
        async with self.http.request(method, f"{self.url}{path}", json=body) as answer:
            text = await answer.text()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
            return json.loads(text) if text else None

    async def leave(self, leaving: Leave) -> None:
        """Take the person's entitlement away; the moment is the simulator's, before it answers."""
        person = f"/users/{leaving.object_id}"
        leaving.lost_at = datetime.now(UTC)
        if leaving.kind == "disabled":
            await self.send("PATCH", person, {"accountEnabled": False})
        elif leaving.kind == "unassigned":
            await self.send("DELETE", f"/assignments/{leaving.object_id}")
        elif leaving.kind == "removed from group":
            await self.send("DELETE", f"/groups/{leaving.via}/members/{leaving.object_id}")
        else:
            await self.send("DELETE", person)
            if leaving.kind == "purged":
                await self.send("POST", f"{person}/purge")

    async def entitle_by(self, person: Mapping[str, Any], kind: str) -> str | None:
        """Leave the person one reason to be entitled: an assignment, or one group; gives the group."""
        via = [each for each in person["via"] if each != "direct"]
        if kind == "unassigned":
            await self.send("PUT", f"/assignments/{person['id']}")
        for group in via if kind == "unassigned" else via[1:]:
            await self.send("DELETE", f"/groups/{group}/members/{person['id']}")
        if kind == "removed from group" and "direct" in person["via"]:
            await self.send("DELETE", f"/assignments/{person['id']}")
        return via[0] if via else None


def run() -> None:
    """Prints the table, for a run of a few minutes."""
    asyncio.run(measure(leaves=300, minutes=2.0, interval=1, kills=True))


async def measure(leaves: int, minutes: float, interval: int, *, kills: bool) -> None:
    people = int(leaves * (1 + STAY_FOR_EACH))
    print(
        f"\nLeavers: {leaves:,} of {people:,} people within {minutes:g} minutes, interval {interval} min,"
        f" two workers{' that are killed at random' if kills else ''} (PostgreSQL); load {os.getloadavg()[0]:.1f}"
    )
    with (
        running_postgres() as url_of_database,
        company(people, max(10, people // PEOPLE_A_GROUP)) as ready,
    ):
        environment = {
            "LEAVER_DATABASE_URL": url_of_database,
            "LEAVER_SECRET_KEY": KEY,
            "LEAVER_ALLOW_SIMULATOR": "1",
            "LEAVER_LOG_LEVEL": "error",
        }
        reference = await asyncio.to_thread(connect, environment, ready)
        settings = Settings(
            database_url=environment["LEAVER_DATABASE_URL"],
            secret_key=(SecretStr(KEY),),
            allow_simulator=True,
        )
        async with (
            open_services(settings) as services,
            aiohttp.ClientSession() as http,
            _listening(App()) as (app, url),
        ):
            entra = Entra(http, ready["admin_url"].rstrip("/"))
            leaving = await _choose(entra, leaves)
            connection = await _lift_ceilings(services, reference, interval)
            await asyncio.to_thread(leaver, environment, "sync", reference, "--full")
            await _sign_in(services, connection, app, leaving)
            await _make_webhooks(services, app, url)
            workers = [Worker(environment), Worker(environment)]
            for each in workers:
                each.start()
            try:
                await _live(entra, services, leaving, minutes, interval, workers if kills else ())
            finally:
                for each in workers:
                    each.stop()
            show(await evaluate(services.db, connection, app.ended, app.told, leaving), workers, interval)


async def _choose(entra: Entra, number: int) -> list[Leave]:
    """Choose who leaves and how, the same number of each kind."""
    found = (await entra.send("GET", "/state?scim=false"))["users"]
    entitled = [each for each in found if each["entitled"] and any(v != "direct" for v in each["via"])]
    chosen = random.Random(5).sample(entitled, number)
    gate = asyncio.Semaphore(AT_ONCE)

    async def prepare(place: int, person: Mapping[str, Any]) -> Leave:
        kind = KINDS[place % len(KINDS)]
        async with gate:
            alone = kind in ("unassigned", "removed from group")
            via = await entra.entitle_by(person, kind) if alone else None
        return Leave(person["id"], kind, via)

    return await asyncio.gather(*(prepare(place, person) for place, person in enumerate(chosen)))


async def _lift_ceilings(services: Services, reference: str, interval: int) -> Connection:
    async with services.db.reading() as conn:
        found = await connections.find(conn, reference)
    place = found.tenant_id, found.id
    policy = replace(found.policy, ceilings=Ceilings(floor=1_000_000))
    await services.db.write(lambda conn: connections.set_policy(conn, *place, policy))
    return await services.db.write(lambda conn: connections.set_interval(conn, *place, interval))


async def _sign_in(services: Services, connection: Connection, app: App, leaving: Sequence[Leave]) -> None:
    """Give every leaver a session, and the app knows it."""
    place = connection.tenant_id, connection.id
    for start in range(0, len(leaving), 500):
        some = leaving[start : start + 500]

        async def work(conn: AsyncConnection, some: Sequence[Leave] = some) -> list[tuple[str, str]]:
            known = await users.load_some(conn, *place, objects={each.object_id for each in some})
            of_object = {str(user.entra_object_id): user.id for user in known.values()}
            for each in some:
                each.account = of_object[each.object_id]
            started = [await sessions.start(conn, place[0], of_object[each.object_id]) for each in some]
            return [(session.id, session.user_id) for session, _ in started]

        app.signed_in |= dict(await services.db.write(work))


async def _make_webhooks(services: Services, app: App, url: str) -> None:
    """The app's, and one that never answers."""
    _, app.secret = await webhooks.create(
        services, HERE, f"{url}/hear", ["session.revoked"], acknowledges=True
    )
    await webhooks.create(services, HERE, f"{url}/hang", ["session.revoked"])


async def _live(
    entra: Entra,
    services: Services,
    leaving: Sequence[Leave],
    minutes: float,
    interval: int,
    workers: Sequence[Worker],
) -> None:
    """Let everybody leave, evenly spread, and wait until the app has acknowledged all."""
    in_order = random.Random(7).sample(leaving, len(leaving))
    killing = asyncio.create_task(_kill_at_random(workers))
    try:
        began, each_s = asyncio.get_running_loop().time(), minutes * 60 / len(in_order)
        for number, person in enumerate(in_order):
            await asyncio.sleep(began + number * each_s - asyncio.get_running_loop().time())
            await entra.leave(person)
        until = asyncio.get_running_loop().time() + interval * 60 + LATE_S
        while asyncio.get_running_loop().time() < until:
            if await _all_acknowledged(services, len(leaving)):
                break
            await asyncio.sleep(1)
    finally:
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)


async def _all_acknowledged(services: Services, wanted: int) -> bool:
    """Return whether everybody's access has ended, and the app knows."""
    query = select(func.count()).where(tables.receipts.c.acknowledged_at.is_not(None))
    async with services.db.reading() as conn:
        return int((await conn.execute(query)).scalar_one()) >= wanted


async def _kill_at_random(workers: Sequence[Worker]) -> None:
    dice = random.Random(3)
    while workers:
        await asyncio.sleep(dice.uniform(*KILLED_EVERY_S))
        await asyncio.to_thread(dice.choice(workers).kill)


@asynccontextmanager
async def _listening(app: App) -> AsyncIterator[tuple[App, str]]:
    served = web.Application()
    served.router.add_post("/hear", app.hear)
    served.router.add_post("/hang", app.hang)
    runner = web.AppRunner(served, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield app, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--interval", type=int, default=5)
    parser.add_argument("--undisturbed", action="store_true", help="kill no worker")
    given = parser.parse_args()
    asyncio.run(measure(given.leaves, given.minutes, given.interval, kills=not given.undisturbed))
