"""Two worker processes on one PostgreSQL: one is killed, or frozen, in the middle of applying; the other goes on.

Nothing in the workers helps: the test locks one person's row, so that whoever disables people waits there, in
the middle of a transaction, with some people done and others not.
"""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import psycopg
import pytest
from pydantic import SecretStr

from config.settings import Settings
from simulator.server import running_simulator
from store.database import Database, libpq_url
from store.logs import provisioning_log
from store.records import Action, Ceilings, CycleStatus, LogEntry, LogStatus
from store.sync import cycles
from tests.builders.processes.python_process import Process, started
from tests.builders.processes.waiting import until
from tests.builders.simulated_connection import Pull
from tests.builders.simulated_tenant import SECRET_KEY, connect
from tests.databases.parameters import ASYNCPG
from worker.apply.apply_plan import BATCH_SIZE
from worker.services import build_services

LEAVERS = BATCH_SIZE + BATCH_SIZE // 5
"""More than one transaction."""
PEOPLE = 3 * LEAVERS
"""So many that losing the leavers is not suspicious."""
LEASE_S = 3
TAKEN_OVER_WITHIN_S = 60
ENDED_IN_THE_END_S = 300
"""A frozen process keeps what it locked until the server ends its transactions, one after the other; on a busy
machine a lease of three seconds runs out once more under the other."""

on_postgresql = pytest.mark.parametrize("database_url", [ASYNCPG], indirect=True)


@pytest.fixture
async def pull(database: Database, database_url: str) -> AsyncIterator[Pull]:
    """A company that was reconciled before most of it left, and nothing that is due."""
    async with running_simulator(users=PEOPLE, groups=4, seed=11) as simulator:
        settings = Settings(database_url=database_url, secret_key=(SecretStr(SECRET_KEY),), lease_s=LEASE_S)
        pull = Pull(
            simulator, build_services(settings, database), await connect(database, simulator, "Contoso")
        )
        await pull.set_policy(ceilings=Ceilings(floor=100_000))
        assert (await pull.cycle()).status is CycleStatus.APPLIED
        await pull.postpone()
        yield pull


@dataclass(frozen=True)
class Worker:
    process: Process
    id: str
    """By which it holds leases."""


@asynccontextmanager
async def two_workers(url: str) -> AsyncIterator[dict[str, Worker]]:
    """Two `leaver worker` by the name under which each holds leases."""
    environment = {
        "LEAVER_DATABASE_URL": url,
        "LEAVER_SECRET_KEY": SECRET_KEY,
        "LEAVER_WORKER_TICK_S": "1",
        "LEAVER_LEASE_S": str(LEASE_S),
        "LEAVER_LOG_FORMAT": "json",
    }
    async with AsyncExitStack() as stack:
        workers = {}
        for _ in range(2):
            code = ("-c", "from worker.process import main; main()")
            process = await stack.enter_async_context(started(*code, environment=environment, with_log=True))
            line = json.loads(await process.line_with("worker.started"))
            workers[f"worker:{line['process']}"] = Worker(process, line["process"])
        yield workers


async def all_but_one_batch_done(pull: Pull, url: str, stack: AsyncExitStack) -> str:
    """Lets somebody begin to disable the leavers, and holds them up in the middle; gives the name of the holder."""
    leavers = sorted(pull.directory.entitled())[:LEAVERS]
    for person in leavers:
        pull.lose(person, "disabled")
    people = await pull.users()
    last = max((people[person] for person in leavers), key=lambda user: user.user_name)  # a plan goes by name
    stack.enter_context(locked(url, last.id))
    before = await pull.active()
    await pull.make_due()

    async def is_in_the_middle() -> bool:
        return len(await pull.active()) < len(before) and await is_waiting(url)

    await until(is_in_the_middle)
    return await pull.lease_holder()


@contextmanager
def locked(url: str, user_id: str) -> Iterator[None]:
    """Keeps a person's row from being changed."""
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute("SELECT 1 FROM users WHERE id = %s FOR UPDATE", (user_id,))
        yield
        connection.rollback()


async def is_waiting(url: str) -> bool:
    """Whether some session waits for a row."""
    async with await psycopg.AsyncConnection.connect(libpq_url(url), autocommit=True) as admin:
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return await (await admin.execute(waiting)).fetchone() is not None


async def is_done(pull: Pull) -> bool:
    return (await pull.latest_cycle()).status is CycleStatus.APPLIED and await pull.active() == set(
        pull.directory.entitled()
    )


async def everything_written(pull: Pull) -> tuple[object, ...]:
    """The provisioning log whole, and how the connection and its cycles stand."""
    connection = pull.connection
    async with pull.db.reading() as conn:
        ran = await cycles.latest(conn, connection.tenant_id, connection.id, limit=100)
    await pull.reload()
    return await log_of(pull), pull.connection, ran


async def log_of(pull: Pull) -> tuple[LogEntry, ...]:
    connection = pull.connection
    async with pull.db.reading() as conn:
        page = await provisioning_log.search(conn, connection.tenant_id, connection.id, limit=100_000)
    return page.entries


async def assert_each_leaver_was_disabled_once(pull: Pull) -> None:
    entries = await log_of(pull)
    done = [entry for entry in entries if (entry.action, entry.status) == (Action.DISABLE, LogStatus.SUCCESS)]
    assert len(done) == len({entry.subject_id for entry in done}) == LEAVERS, "none twice, none lost"
    assert await pull.active() == set(pull.directory.entitled())


@on_postgresql
async def test_a_worker_that_is_killed_in_mid_cycle_is_taken_over_within_a_minute(
    pull: Pull,
    database_url: str,
) -> None:
    """SIGKILL of one in mid-cycle: its connection is taken over within 60 s, no change applied twice, none lost."""
    async with two_workers(database_url) as workers:
        async with AsyncExitStack() as stack:
            holder = await all_but_one_batch_done(pull, database_url, stack)
            workers.pop(holder).process.kill()
        await until(lambda: is_done(pull), within_s=TAKEN_OVER_WITHIN_S)
        await assert_each_leaver_was_disabled_once(pull)
        (survivor,) = workers.values()
        assert await survivor.process.stop() == 0


@on_postgresql
async def test_a_worker_that_was_frozen_past_its_lease_writes_nothing_more(
    pull: Pull,
    database_url: str,
) -> None:
    """SIGSTOP of one past its lease, then SIGCONT: it writes nothing more, and the other completed its work."""
    async with two_workers(database_url) as workers:
        async with AsyncExitStack() as stack:
            holder = await all_but_one_batch_done(pull, database_url, stack)
            frozen = workers.pop(holder).process
            frozen.signal(signal.SIGSTOP)
        try:  # its transaction is open, and what it asked for is done: only a COMMIT is missing
            await pull.make_due()
            await until(lambda: is_done(pull), within_s=ENDED_IN_THE_END_S)
            await assert_each_leaver_was_disabled_once(pull)
            before = await everything_written(pull)
        finally:
            frozen.signal(signal.SIGCONT)
        await frozen.line_with("cycle.lease_lost")
        assert await everything_written(pull) == before
        for process in (frozen, *[worker.process for worker in workers.values()]):
            assert await process.stop() == 0
        assert await everything_written(pull) == before
