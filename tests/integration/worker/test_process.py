"""A worker at work: by schedule, on request, and both at once, on both databases."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from simulator.faults import Fault
from store.database import libpq_url
from store.logs import audit_log, events
from store.records import CycleId, CycleKind, CycleStatus
from store.sync import cycles
from store.sync.cycles import Progress
from store.sync.worker_locks import ADVISORY_CLASS
from store.tenancy import connections
from tests.builders.simulated_connection import Pull
from tests.databases.parameters import ASYNCPG
from worker.cycle.run import CycleRequest
from worker.errors import Terminal
from worker.jobs import dispatch, retention
from worker.jobs.queue import Job, JobKind
from worker.jobs.runner import Runner
from worker.locks.hold import LeaseSettings
from worker.locks.lease import for_a_command
from worker.on_demand.report import OnDemandResult
from worker.process import working


@pytest.fixture
async def worker(pull: Pull) -> AsyncIterator[None]:
    """A worker in this process; the connection is not due by itself."""
    await pull.postpone()
    async with working(pull.services.settings, pull.db):
        yield


async def until(is_so: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not await is_so():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.1)


async def test_what_is_due_is_run_by_itself_and_only_once(pull: Pull) -> None:
    """On a schedule: a new connection is due at once, then at its next beat."""
    async with working(pull.services.settings, pull.db):
        await until(lambda: _has_cycled(pull))
        await asyncio.sleep(2.5)
    async with pull.db.reading() as conn:
        ran = await cycles.latest(conn, pull.connection.tenant_id, pull.connection.id)
    assert [cycle.status for cycle in ran] == [CycleStatus.APPLIED]
    assert await pull.active() == set(pull.directory.entitled())


async def _has_cycled(pull: Pull) -> bool:
    await pull.reload()
    return pull.connection.last_cycle_at is not None


async def test_a_paused_connection_is_left_alone(pull: Pull) -> None:
    """Pause stops pull; asked for by hand it is refused with the reason."""
    connection = pull.connection
    await pull.db.write(lambda conn: connections.pause(conn, connection.tenant_id, connection.id, "holidays"))
    async with working(pull.services.settings, pull.db):
        await asyncio.sleep(2.5)
    with pytest.raises(Terminal, match="paused"):
        await dispatch.sync(pull.services, connection)
    assert await pull.users() == {}


async def test_a_slot_that_a_later_cycle_has_overtaken_is_left_out(pull: Pull) -> None:
    """Level-based: a job that waited too long finds its work done, and does nothing."""
    await pull.cycle()
    runner = Runner(pull.services, for_a_command(pull.services.settings))
    stale = Job(JobKind.CYCLE, pull.connection.id, "20200101T000000Z", is_scheduled=True)
    assert await runner.run(stale, asyncio.Event()) == {"skipped": "a later cycle has run already"}


async def test_a_cycle_whose_lease_ran_out_is_made_due_again(pull: Pull) -> None:
    """A slow machine lost its lease and no other took it: the leaver does not wait for the next slot."""
    await pull.cycle()
    leaver = min(await pull.active())
    pull.lose(leaver, "disabled")
    await pull.postpone()
    runs_out_at_once = LeaseSettings("worker:slow", duration_s=0)
    scheduled = Job(JobKind.CYCLE, pull.connection.id, "99990101T000000Z", is_scheduled=True)

    result = await Runner(pull.services, runs_out_at_once).run(scheduled, asyncio.Event())

    assert "lease" in str(result["error"])
    await pull.reload()
    assert pull.connection.next_due_at is not None
    assert pull.connection.next_due_at <= pull.services.clock()
    assert leaver in await pull.active(), "nothing is removed under a lease that ran out"


async def test_without_a_worker_the_caller_runs_the_cycle(pull: Pull) -> None:
    """`sync` works with or without a running worker; without, the command does it itself, with progress."""
    told: list[Progress] = []
    report = await dispatch.sync(pull.services, pull.connection, None, told.append)
    assert (report.status, report.kind) == (CycleStatus.APPLIED, CycleKind.INITIAL)
    assert "apply" in {how_far.phase for how_far in told}


@pytest.mark.usefixtures("worker")
async def test_with_a_worker_the_cycle_is_handed_to_it_and_watched(pull: Pull) -> None:
    """With a worker the job is handed to it and watched; the report is the same."""
    pull.simulator.simulation.faults.arm(Fault(re.compile("GET .*/users"), delay_s=1.0))
    told: list[Progress] = []
    running = asyncio.create_task(dispatch.sync(pull.services, pull.connection, None, told.append))
    await until(lambda: _is_held_by(pull, "worker:"))
    report = await running
    assert report.status is CycleStatus.APPLIED
    assert (await pull.latest_cycle()).id == report.cycle_id
    assert told


async def _is_held_by(pull: Pull, holder: str) -> bool:
    return (await pull.lease_holder()).startswith(holder)


@pytest.mark.usefixtures("worker")
async def test_a_dry_run_stays_one_when_it_is_handed_over(pull: Pull) -> None:
    """Jobs are keys: what is wanted of the cycle is part of the key."""
    report = await dispatch.sync(pull.services, pull.connection, CycleRequest(is_dry_run=True))
    assert (report.status, await pull.users()) == (CycleStatus.REPORTED, {})


@pytest.mark.usefixtures("worker")
async def test_on_demand_goes_first_and_the_cycle_begins_again(pull: Pull) -> None:
    """On demand pre-empts: a running cycle yields at its next safe point, and is run after."""
    person = sorted(pull.directory.entitled())[0]
    pull.simulator.simulation.faults.arm(Fault(re.compile("GET .*/users\\?"), delay_s=2.0, times=1))
    syncing = asyncio.create_task(dispatch.sync(pull.services, pull.connection))
    await until(lambda: _is_held_by(pull, "worker:"))
    report = await dispatch.provision(pull.services, pull.connection, person)
    assert report.result is OnDemandResult.CREATED
    assert await pull.active() == {person}, "the cycle has applied nothing yet"
    assert (await syncing).status is CycleStatus.APPLIED
    async with pull.db.reading() as conn:
        ran = await cycles.latest(conn, pull.connection.tenant_id, pull.connection.id)
    assert CycleStatus.YIELDED in {cycle.status for cycle in ran}
    assert await pull.active() == set(pull.directory.entitled())


async def test_a_failure_comes_back_with_its_remedy(pull: Pull) -> None:
    """Each ends in a named state and says what to do."""
    pull.simulator.simulation.registration.secrets.clear()
    report = await dispatch.sync(pull.services, pull.connection)
    assert report.status is CycleStatus.FAILED
    assert report.remedy


@pytest.mark.parametrize("database_url", [ASYNCPG], indirect=True)
@pytest.mark.usefixtures("worker")
async def test_a_worker_that_lost_its_lock_takes_a_new_place_and_works_on(
    pull: Pull, database_url: str
) -> None:
    """A worker that loses its own lock connection ends itself: others take it for dead, so it begins anew."""
    with psycopg.connect(libpq_url(database_url), autocommit=True) as admin:
        held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"
        before = admin.execute(held, (ADVISORY_CLASS,)).fetchall()
        assert len(before) == 1
        admin.execute("SELECT pg_terminate_backend(%s)", before[0])

        async def has_a_new_place() -> bool:
            now = admin.execute(held, (ADVISORY_CLASS,)).fetchall()
            return bool(now) and now != before

        await until(has_a_new_place)
    assert (await dispatch.sync(pull.services, pull.connection)).status is CycleStatus.APPLIED


async def test_a_worker_deletes_what_has_been_kept_for_long_enough(pull: Pull) -> None:
    """Retention: of a tenant that only pushes as well; what somebody may still need stays."""
    long_ago = pull.services.clock() - timedelta(days=100)
    connection = pull.connection

    async def an_old_cycle(conn: AsyncConnection) -> CycleId:
        tenant_id = connection.tenant_id
        cycle = await cycles.start(conn, tenant_id, connection.id, CycleKind.ON_DEMAND, now=long_ago)
        ended = cycles.CycleResult(CycleStatus.APPLIED, complete=None)
        await cycles.finish(conn, tenant_id, cycle.id, ended, now=long_ago)
        return cycle.id

    old = await pull.db.write(an_old_cycle)

    async def is_gone() -> bool:
        async with pull.db.reading() as conn:
            found = await cycles.latest(conn, connection.tenant_id, connection.id)
        return old not in {cycle.id for cycle in found}

    await pull.postpone()
    async with working(pull.services.settings, pull.db):
        await until(is_gone)


async def test_the_audit_log_is_kept_for_a_year(pull: Pull) -> None:
    """`LEAVER_AUDIT_LOG_DAYS`: longer than the provisioning log, since auditors ask about a year."""
    tenant_id, entra = pull.connection.tenant_id, pull.connection.id
    now = pull.services.clock()

    async def two_deeds(conn: AsyncConnection) -> None:
        for days, deed in ((366, "token.created"), (364, "token.revoked")):
            await audit_log.record(
                conn, tenant_id, entra, "ops", deed, "t1", "Entra", now=now - timedelta(days=days)
            )

    await pull.db.write(two_deeds)
    await retention.prune(pull.services)

    async with pull.db.reading() as conn:
        kept = await audit_log.search(conn, tenant_id, entra)
    assert [entry.action for entry in kept] == ["token.revoked"]


async def test_without_a_worker_the_command_that_ran_a_cycle_deletes_it(pull: Pull) -> None:
    """An installation that runs `leaver sync` from a timer keeps no more than one with a worker.

    The newest event stays, so that its id is never drawn again.
    """
    services = replace(pull.services, settings=pull.services.settings.model_copy(update={"event_days": 0}))
    await dispatch.sync(services, pull.connection)
    async with pull.db.reading() as conn:
        assert len(await events.since(conn, pull.connection.tenant_id)) == 1
