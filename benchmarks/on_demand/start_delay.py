"""How soon on-demand work starts while 5,000 cycles wait: real worker, real cycles, real requests.

Start is when the request holds its connection and begins (its cycle's row), counted from before it was submitted.
Worker, simulated Entra, database and this process share the machine: on a small one that is part of the figure.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.company import companies, company
from benchmarks.cycles.full_cycle import child, connect
from benchmarks.push.rates import sqlite_file
from benchmarks.workers.many import Entra
from store.database import Database, open_database
from store.records import Connection, ConnectionId, CycleKind
from store.sync import cycles
from store.tenancy import connections
from tests.builders.secret_keys import secret_key
from tests.databases.postgres_server import running_postgres
from worker.jobs.dbos_queue import DbosQueue
from worker.jobs.dbos_settings import DbosSettings
from worker.jobs.queue import Job, JobKind
from worker.locks import worker_presence

WAITING = 5_000
ENTRA_TENANTS = 10
SMALL, LARGE = (20, 3), (10_000, 100)
"""Users and groups: of those who wait, and of those whose cycle has to give way."""
FREE_REQUESTS, YIELD_REQUESTS = 100, 30
ROW = "{:<44}{:>9}{:>9}{:>9}{:>12}"

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Scene:
    db: Database
    engine: DbosQueue
    free: list[Connection]
    """Nothing of theirs is due."""
    busy: Connection
    """Large enough that its cycle is met in the middle."""


def run() -> None:
    """Prints the table."""
    print(f"\nOn demand while {WAITING:,} cycles wait, load {os.getloadavg()[0]:.1f}")
    print(ROW.format("seconds from request to start", "p50", "p99", "max", "goal p99"))
    with companies(ENTRA_TENANTS, *SMALL) as small, company(*LARGE) as large:
        for name, database in (("SQLite", sqlite_file), ("PostgreSQL", running_postgres)):
            with database() as url:
                _measure(name, url, small, large)


def _measure(name: str, url: str, small: Entra, large: Mapping[str, str]) -> None:
    environment = {
        "LEAVER_DATABASE_URL": url,
        "LEAVER_SECRET_KEY": secret_key("benchmarks"),
        "LEAVER_ALLOW_SIMULATOR": "1",
    }
    ids = [connect(environment, small[0]), connect(environment, large, "Large")]
    child(environment, "benchmarks.workers.many", ids[0], str(WAITING + FREE_REQUESTS), json.dumps(small))
    asyncio.run(_requests(name, url, environment, ConnectionId(ids[1])))


async def _requests(name: str, url: str, environment: Mapping[str, str], large: ConnectionId) -> None:
    async with _scene(url, large) as scene:
        with _worker(environment):
            await _until(lambda: worker_presence.is_worker_alive(url))
            await asyncio.sleep(8)  # the first tick has come, and all slots are taken
            free = [await _free(scene, number) for number in range(FREE_REQUESTS)]
            _show(f"{name}: a free connection", free, 1.0)
            gave_way = [await _gives_way(scene) for _ in range(YIELD_REQUESTS)]
            _show(f"{name}: a cycle of {LARGE[0]:,} has to yield", gave_way, 1.5)
            print(f"  cycles still waiting: {await _waiting(scene.db):,}; load {os.getloadavg()[0]:.1f}")


@asynccontextmanager
async def _scene(url: str, large: ConnectionId) -> AsyncIterator[Scene]:
    """Makes all due but those that are asked about."""
    now = datetime.now(UTC)
    db, engine = await open_database(url), DbosQueue(DbosSettings(url))

    async def furnish(conn: AsyncConnection) -> Scene:
        busy = await connections.find(conn, large)
        await connections.schedule(conn, busy.tenant_id, busy.id, now + timedelta(days=1))
        copies = [each for each in await connections.list_all(conn) if each.id.startswith("copy")]
        for each in copies[FREE_REQUESTS:]:
            await connections.schedule(conn, each.tenant_id, each.id, now)
        return Scene(db, engine, copies[:FREE_REQUESTS], busy)

    try:
        yield await db.write(furnish)
    finally:
        await engine.aclose()
        await db.close()


@contextmanager
def _worker(environment: Mapping[str, str]) -> Iterator[None]:
    """`leaver worker` in a process of its own."""
    command = [str(Path(sys.executable).with_name("leaver")), "worker"]
    process = subprocess.Popen(command, env={**os.environ, "LEAVER_LOG_LEVEL": "error", **environment})
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _show(name: str, starts: list[float], goal: float) -> None:
    starts.sort()
    p50, p99 = (starts[min(int(len(starts) * share), len(starts) - 1)] for share in (0.5, 0.99))
    print(ROW.format(name, f"{p50:.2f}", f"{p99:.2f}", f"{starts[-1]:.2f}", f"< {goal}"))


async def _waiting(db: Database) -> int:
    """Connections that were due when the worker started, and have had no cycle yet."""
    async with db.reading() as conn:
        everybody = await connections.list_all(conn)
    return sum(each.last_cycle_at is None for each in everybody) - FREE_REQUESTS


async def _free(scene: Scene, number: int) -> float:
    return await _start_of_request(scene, scene.free[number])


async def _gives_way(scene: Scene) -> float:
    """Starts a full cycle and asks for one person of the same connection while it runs."""
    slot = f"cycle{next(_numbers)}"
    job = await scene.engine.submit(Job(JobKind.CYCLE, scene.busy.id, slot, is_full=True))
    await _until(lambda: _started(scene.db, scene.busy, CycleKind.INITIAL, CycleKind.FULL))
    await asyncio.sleep(0.5)
    waited = await _start_of_request(scene, scene.busy)
    await scene.engine.cancel(job)
    await _until(lambda: _rests(scene, scene.busy))
    return waited


async def _start_of_request(scene: Scene, connection: Connection) -> float:
    asked_at = datetime.now(UTC)
    job = Job(JobKind.ON_DEMAND, connection.id, f"request{next(_numbers)}", subjects=("nobody@example.com",))
    job_id = await scene.engine.submit(job)

    async def has_ended() -> bool:
        return (await scene.engine.progress(job_id)).has_ended

    await _until(has_ended)
    async with scene.db.reading() as conn:
        latest = await cycles.latest(conn, connection.tenant_id, connection.id, limit=5)
    [started_at] = [each.started_at for each in latest if each.kind is CycleKind.ON_DEMAND][:1]
    return (started_at - asked_at).total_seconds()


async def _started(db: Database, connection: Connection, *kinds: CycleKind) -> bool:
    async with db.reading() as conn:
        running = await cycles.latest(conn, connection.tenant_id, connection.id, finished=False)
    return any(each.kind in kinds for each in running)


async def _rests(scene: Scene, connection: Connection) -> bool:
    return not await _started(scene.db, connection, *CycleKind)


async def _until(is_so: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 120
    while not await is_so():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.1)
