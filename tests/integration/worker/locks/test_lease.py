"""Leases: one at a time, giving way, taking over, and never a late write, on both databases."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from store import lifecycle
from store.database import Database
from store.errors import FencedOut
from store.records import Cause, Connection, CreateUser, Lease, Origin
from store.sync import leases
from tests.databases.parameters import ASYNCPG
from worker.cycle.load_state import load
from worker.errors import LeaseLost, Yielded
from worker.locks.hold import Hold, LeaseSettings
from worker.locks.lease import LeaseHeld, holding

CYCLE = LeaseSettings("worker:one", duration_s=30, gives_way=True)
REQUEST = LeaseSettings("worker:two", duration_s=30, wait_s=10)
REQUEST_AT_ONCE = replace(REQUEST, wait_s=0.0)


def now() -> datetime:
    return datetime.now(UTC)


async def seen(db: Database, connection: Connection) -> Lease | None:
    async with db.reading() as conn:
        return await leases.get(conn, connection.tenant_id, connection.id)


async def test_a_connection_is_worked_on_by_one_at_a_time(database: Database, contoso: Connection) -> None:
    """Exclusion does not rest on the engine: a cycle holds its connection's lease."""
    async with holding(database, now, contoso.tenant_id, contoso.id, CYCLE):
        with pytest.raises(LeaseHeld):
            async with holding(database, now, contoso.tenant_id, contoso.id, CYCLE):
                pass
    async with holding(database, now, contoso.tenant_id, contoso.id, CYCLE):
        pass


async def test_a_cycle_gives_way_to_on_demand_work_within_a_second_and_a_half(
    database: Database, contoso: Connection
) -> None:
    """On demand: p99 start under 1.5 s for a connection whose cycle must yield first."""

    async def cycle(hold: Hold) -> None:
        while True:
            await hold.checkpoint_or_yield()
            await asyncio.sleep(0.01)

    async def run_cycle() -> None:
        async with holding(database, now, contoso.tenant_id, contoso.id, CYCLE) as hold:
            await cycle(hold)

    running = asyncio.create_task(run_cycle())
    await asyncio.sleep(0.2)
    asked_at = time.monotonic()
    async with holding(database, now, contoso.tenant_id, contoso.id, REQUEST):
        assert time.monotonic() - asked_at < 1.5
    with pytest.raises(Yielded):
        await running


async def test_on_demand_work_goes_before_a_cycle_that_waits_too(
    database: Database, contoso: Connection
) -> None:
    """A cycle that gave way, or was asked for meanwhile, does not snatch the lease from the person who waits."""
    order: list[str] = []
    patient = replace(CYCLE, holder="worker:three", wait_s=10)

    async def take(name: str, settings: LeaseSettings) -> None:
        async with holding(database, now, contoso.tenant_id, contoso.id, settings):
            order.append(name)

    async with asyncio.TaskGroup() as tasks, holding(database, now, contoso.tenant_id, contoso.id, CYCLE):
        for number in range(3):
            tasks.create_task(take(f"cycle {number}", patient))
        await asyncio.sleep(0.1)
        tasks.create_task(take("request", REQUEST))
        await asyncio.sleep(0.4)
    assert order[0] == "request"


async def test_on_demand_work_gives_way_to_nobody(database: Database, contoso: Connection) -> None:
    """It is short; another request waits for it."""
    async with holding(database, now, contoso.tenant_id, contoso.id, REQUEST) as hold:
        await database.write(lambda conn: leases.request_yield(conn, contoso.tenant_id, contoso.id))
        await asyncio.sleep(0.7)
        await hold.checkpoint_or_yield()


async def test_work_that_is_told_to_end_ends_at_its_next_safe_point(
    database: Database, contoso: Connection
) -> None:
    """Graceful stop: nothing is cut off in the middle."""
    halt = asyncio.Event()
    settings = LeaseSettings("worker:one", duration_s=30, halt=halt)
    async with holding(database, now, contoso.tenant_id, contoso.id, settings) as hold:
        await hold.checkpoint_or_yield()
        halt.set()
        with pytest.raises(Yielded):
            await hold.checkpoint_or_yield()


async def test_a_lease_is_renewed_for_as_long_as_the_work_takes(
    database: Database, contoso: Connection
) -> None:
    """A lease outlives its duration while its holder lives."""
    settings = LeaseSettings("worker:one", duration_s=1.0)
    async with holding(database, now, contoso.tenant_id, contoso.id, settings):
        await asyncio.sleep(2.0)
        with pytest.raises(LeaseHeld):
            async with holding(database, now, contoso.tenant_id, contoso.id, CYCLE):
                pass


async def test_a_lease_that_ran_out_goes_to_the_next_and_its_holder_writes_nothing_more(
    database: Database, contoso: Connection
) -> None:
    """SIGSTOP of one past its lease, then SIGCONT: it writes nothing more."""
    command = CreateUser({"userName": "ada@example.com"})
    stopped = await database.write(
        lambda conn: leases.acquire(
            conn, contoso.tenant_id, contoso.id, "worker:stopped", now() - timedelta(minutes=1), 30
        )
    )
    assert stopped is not None
    async with holding(database, now, contoso.tenant_id, contoso.id, CYCLE):
        cause = Cause(Origin.GRAPH, "late", fence=stopped.fence)
        with pytest.raises(FencedOut):
            await lifecycle.perform(database, contoso.tenant_id, contoso.id, [command], cause)


@pytest.mark.parametrize("database_url", [ASYNCPG], indirect=True)
@pytest.mark.parametrize("minutes", [10, -10])
async def test_a_machine_whose_clock_is_wrong_takes_nothing_from_others(
    database: Database, contoso: Connection, minutes: int
) -> None:
    """A lease begins and runs out by the clock of PostgreSQL: a fast clock takes none, a slow one loses none."""

    def wrong() -> datetime:
        return now() + timedelta(minutes=minutes)

    async with holding(database, now, contoso.tenant_id, contoso.id, CYCLE):
        with pytest.raises(LeaseHeld):
            async with holding(database, wrong, contoso.tenant_id, contoso.id, REQUEST_AT_ONCE):
                pass
    short = LeaseSettings("worker:one", duration_s=1.0)
    async with holding(database, wrong, contoso.tenant_id, contoso.id, short) as hold:
        await asyncio.sleep(1.5)  # and has been renewed
        assert abs(hold.lease.until - now()) < timedelta(minutes=1)
        with pytest.raises(LeaseHeld):
            async with holding(database, now, contoso.tenant_id, contoso.id, REQUEST_AT_ONCE):
                pass


async def test_a_holder_notices_that_it_was_taken_over(database: Database, contoso: Connection) -> None:
    """At its next safe point at the latest, before it reads on for nothing."""
    async with holding(database, now, contoso.tenant_id, contoso.id, CYCLE) as hold:
        later = now() + timedelta(hours=1)
        await database.write(
            lambda conn: leases.acquire(conn, contoso.tenant_id, contoso.id, "worker:two", later, 30)
        )
        await asyncio.sleep(0.7)
        with pytest.raises(LeaseLost):
            await hold.checkpoint_or_yield()
    assert (await seen(database, contoso) or hold.lease).holder == "worker:two", "not released by the loser"


async def test_the_lease_of_a_dead_process_need_not_run_out(database: Database, contoso: Connection) -> None:
    """SIGKILL of one in mid-cycle: its connection is taken over within 60 s, in fact at once."""
    await database.write(
        lambda conn: leases.acquire(conn, contoso.tenant_id, contoso.id, "worker:dead", now(), 600)
    )

    async def is_gone(holder: str) -> bool:
        return holder == "worker:dead"

    settings = LeaseSettings("worker:heir", duration_s=30, is_gone=is_gone)
    async with holding(database, now, contoso.tenant_id, contoso.id, settings) as hold:
        assert hold.lease.token == 2


async def never_ends(broken_off: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        broken_off.set()


async def test_reading_is_broken_off_where_on_demand_work_asks(
    database: Database, contoso: Connection
) -> None:
    """On demand pre-empts: Graph may have asked us to wait for a minute in the middle of a list."""
    broken_off = asyncio.Event()
    settings = replace(CYCLE, halt=asyncio.Event())
    async with holding(database, now, contoso.tenant_id, contoso.id, settings) as hold:
        await database.write(lambda conn: leases.request_yield(conn, contoso.tenant_id, contoso.id))
        async with asyncio.timeout(10):
            with pytest.raises(Yielded):
                await hold.run_interruptible(never_ends(broken_off))
    assert broken_off.is_set()


async def test_reading_is_broken_off_where_the_process_stops(database: Database, contoso: Connection) -> None:
    """Graceful stop hands work back: within the grace, whatever Graph does."""
    settings = LeaseSettings("worker:one", duration_s=30, halt=asyncio.Event())
    async with holding(database, now, contoso.tenant_id, contoso.id, settings) as hold:
        settings.halt.set()
        async with asyncio.timeout(10):
            with pytest.raises(Yielded):
                await hold.run_interruptible(never_ends(asyncio.Event()))


async def test_what_comes_to_its_end_gives_its_result_and_its_errors(
    database: Database, contoso: Connection
) -> None:
    """Nobody asked: nothing is broken off."""

    async def fails() -> None:
        raise ValueError("of its own")

    settings = replace(CYCLE, halt=asyncio.Event())
    async with holding(database, now, contoso.tenant_id, contoso.id, settings) as hold:
        assert await hold.run_interruptible(asyncio.sleep(0, "done")) == "done"
        with pytest.raises(ValueError, match="of its own"):
            await hold.run_interruptible(fails())


async def test_a_load_that_is_broken_off_leaves_the_database_usable(
    database: Database, contoso: Connection
) -> None:
    """A task cancelled inside a transaction once left SQLite locked: loading may be broken off at any moment."""
    for attempt in range(30):
        loading = asyncio.create_task(load(database, contoso))
        await asyncio.sleep(attempt / 10_000)
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
    async with asyncio.timeout(10):
        async with holding(database, now, contoso.tenant_id, contoso.id, CYCLE):
            state = await load(database, contoso)
    assert len(state.users) == 0
