"""From the commit that ends access to the webhook at the app: 100 endpoints of which 10 hang, and a worker that is
killed at random meanwhile.

Real processes: a worker, and this one, which is every app and disables people. Every event has to arrive at each
endpoint that answers; one that comes twice has the same id, so it counts once.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from pydantic import SecretStr

from benchmarks.cycles.full_cycle import leaver
from config.settings import Settings
from console.admin.actor import Actor, ActorKind
from console.admin.events import webhooks
from console.admin.services import Services, open_services
from store.directory import sessions
from store.lifecycle import perform
from store.records import Cause, Connection, CreateUser, DeleteUser, DisableUser, Origin, User
from store.tenancy import connections, tenants
from tests.builders.secret_keys import secret_key

ENDPOINTS, HANGING, LEAVERS = 100, 10, 30
LEAVES_PER_S = 2.0
KEY = secret_key("benchmarks")
MOST_P99_S = 2.0
LONGEST_WAIT_S = 120.0
HERE = Actor(ActorKind.CLI, "benchmark")


@dataclass
class Apps:
    """All apps: when each endpoint heard of each person, and how often."""

    heard: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    ids: dict[str, set[str]] = field(default_factory=dict)

    async def hear(self, request: web.Request) -> web.Response:
        event = await request.json()
        person = str(event["subject"]["id"])
        self.ids.setdefault(person, set()).add(request.headers["webhook-id"])
        self.heard.setdefault((request.path, person), []).append(time.monotonic())
        return web.Response(status=204)

    async def hang(self, _request: web.Request) -> web.Response:
        await asyncio.sleep(3_600)
        return web.Response(status=204)


@dataclass(frozen=True)
class Outcome:
    """What came of one run."""

    delays_s: list[float]
    lost: int
    repeated: int
    events_a_person: set[int]
    kills: int

    @property
    def p99_s(self) -> float:
        return statistics.quantiles(self.delays_s, n=100)[98]


def run() -> None:
    """Prints the table."""
    print(
        f"\nRevocation to webhook: {ENDPOINTS} endpoints, {HANGING} of them hang, {LEAVERS} leavers (SQLite)"
    )
    for kills in (False, True):
        outcome = asyncio.run(measure(ENDPOINTS, HANGING, LEAVERS, kills=kills))
        what = f"worker killed {outcome.kills} times" if kills else "worker undisturbed"
        print(
            f"  {what}: p50 {statistics.median(outcome.delays_s):.2f} s, p99 {outcome.p99_s:.2f} s"
            f" (< {MOST_P99_S:g} undisturbed), max {max(outcome.delays_s):.2f} s;"
            f" lost {outcome.lost}, sent again {outcome.repeated}, events a person {outcome.events_a_person}"
        )


async def measure(endpoints: int, hanging: int, leavers: int, *, kills: bool) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "LEAVER_DATABASE_URL": f"sqlite+aiosqlite:///{Path(folder)}/leaver.db",
            "LEAVER_SECRET_KEY": KEY,
            "LEAVER_ALLOW_SIMULATOR": "1",
            "LEAVER_LOG_LEVEL": "error",
        }
        await asyncio.to_thread(leaver, environment, "db", "upgrade")
        apps = Apps()
        configured = Settings(
            database_url=environment["LEAVER_DATABASE_URL"],
            secret_key=(SecretStr(KEY),),
            allow_simulator=True,
        )
        async with open_services(configured) as services, _listening(apps) as url:
            tenant = await services.db.write(lambda conn: tenants.create(conn, "Contoso"))
            connection = await services.db.write(lambda conn: connections.create(conn, tenant.id, "Entra"))
            people = await _people(services, connection, leavers)
            for number in range(endpoints):
                path = "hang" if number < hanging else "hear"
                await webhooks.create(
                    services, HERE, f"{url}/{path}/{number}", ["session.revoked"], "contoso"
                )
            worker = Worker(environment)
            worker.start()
            try:
                await _warm_up(services, connection, people.pop(), apps, endpoints - hanging)
                ended = await _leave(services, connection, people, worker if kills else None)
                await _all_heard(apps, ended, endpoints - hanging)
            finally:
                worker.stop()
        answering = [f"/hear/{number}" for number in range(hanging, endpoints)]
        times = [apps.heard.get((path, each)) for each in ended for path in answering]
        heard = [
            found[0] - ended[each]
            for each in ended
            for path in answering
            if (found := apps.heard.get((path, each)))
        ]
        repeated = sum(len(found) - 1 for found in times if found)
        numbers = {len(apps.ids.get(each, ())) for each in ended}
        return Outcome(heard, times.count(None), repeated, numbers, worker.kills)


@dataclass
class Worker:
    """`leaver worker`, which can be killed and started again."""

    environment: Mapping[str, str]
    kills: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(Path(sys.executable).with_name("leaver")), "worker"]
        self.process = subprocess.Popen(command, env={**os.environ, **self.environment})

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1
        self.start()

    def stop(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@asynccontextmanager
async def _listening(apps: Apps) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/hear/{number}", apps.hear)
    app.router.add_post("/hang/{number}", apps.hang)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _people(services: Services, connection: Connection, leavers: int) -> list[User]:
    """Make people who are signed in; one more is for the warm-up."""
    made: list[User] = []
    for number in range(leavers + 1):
        command = CreateUser({"userName": f"p{number}"})
        [outcome] = await perform(
            services.db, connection.tenant_id, connection.id, [command], Cause(Origin.SCIM, "benchmark")
        )
        assert isinstance(outcome.record, User)
        user_id = outcome.record.id
        await services.db.write(lambda conn, of=user_id: sessions.start(conn, connection.tenant_id, of))  # type: ignore[misc]
        made.append(outcome.record)
    return made


async def _end(services: Services, connection: Connection, person: User) -> float:
    """End a person's access, every third by SCIM DELETE; gives the moment of the commit."""
    number = int(person.user_name[1:])
    command = DeleteUser(person.id) if number % 3 == 0 else DisableUser(person.id)
    cause = Cause(Origin.SCIM if number % 2 else Origin.GRAPH, f"leave-{number}")
    await perform(services.db, connection.tenant_id, connection.id, [command], cause)
    return time.monotonic()


async def _leave(
    services: Services, connection: Connection, people: list[User], worker: Worker | None
) -> dict[str, float]:
    """End everybody's access, some each second; gives when each was committed."""
    ended: dict[str, float] = {}
    dice = random.Random(1)
    for person in people:
        ended[person.id] = await _end(services, connection, person)
        if worker is not None and dice.random() < 0.1:
            await asyncio.to_thread(worker.kill)
        await asyncio.sleep(1 / LEAVES_PER_S)
    return ended


async def _warm_up(
    services: Services, connection: Connection, person: User, apps: Apps, endpoints: int
) -> None:
    """Wait until the worker has started and delivered a first event to all who answer."""
    await _all_heard(apps, {person.id: await _end(services, connection, person)}, endpoints)


async def _all_heard(apps: Apps, ended: Mapping[str, float], endpoints: int) -> None:
    until = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < until:
        if sum(person in ended for _, person in apps.heard) >= endpoints * len(ended):
            return
        await asyncio.sleep(0.05)
