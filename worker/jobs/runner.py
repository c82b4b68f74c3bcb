"""Run one job: take the connection's lease, run a cycle or subjects, report as JSON.

Jobs are level-based: a job is a key, and its run reads what is true then. A job whose
work was done meanwhile does nothing; one whose process died is run again.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from store import database
from store.errors import StoreError
from store.records import (
    UNATTENDED,
    Connection,
    CycleKind,
    HeldPlan,
    JsonValue,
    Lease,
    PlanId,
    PlanStatus,
)
from store.sync import held_plans as stored_plans
from store.sync import leases
from store.tenancy import connections
from worker import metrics
from worker.cycle import held_plans, schedule
from worker.cycle.report import CycleReport
from worker.cycle.run import CycleRequest, run_cycle
from worker.errors import DatabaseAway, LeaseLost, NeedsHuman, WorkerError, Yielded, as_worker_error
from worker.jobs.queue import Job, JobKind, JobQueue
from worker.locks.hold import Hold, LeaseSettings
from worker.locks.lease import LeaseHeld, holding
from worker.on_demand.entra import Asking, ask_entra
from worker.on_demand.provision import provision_each, sharing_graph
from worker.progress import Watch, ignore_progress
from worker.reconcile.snapshot import forget_results
from worker.services import WorkerServices

DUE_AT_ONCE = 500
"""Connections queued by one tick, the longest waiting first; the rest by the next."""
SUBMITTED_AT_ONCE = 50
"""Of these, so many are noted as submitted in one transaction."""
LEASE_WAIT_S = 600.0
"""How long a job that a person waits for asks for the lease of a busy connection."""
MAKE_WAY_S = 2.0
"""A cycle that gave way waits this long before it asks for the connection again."""
MOST_YIELDS = 5
"""A cycle that yielded so often runs to its end first.

Otherwise frequent on-demand requests could keep leavers active for ever.
"""
MANY_PEOPLE = 2_000
"""Cycles of fewer people take some megabytes, so many of them run at once.

Full ones leave as much behind, which the next one uses.
"""
LARGE = 50_000
"""Users of a directory whose cycles run apart from the others.

So they take neither all slots nor all memory.
"""


async def submit_due(services: WorkerServices, queue: JobQueue) -> None:
    """Queue every connection that is due, and set its next due time.

    A connection whose lease ran out in mid-cycle is due at once: its worker was killed,
    stopped or cut off.
    """
    now = services.clock()
    async with services.db.reading() as conn:
        due = await connections.due(conn, now, DUE_AT_ONCE)
        ended = await connections.abandoned(conn, await leases.database_time(conn, now), DUE_AT_ONCE)
    known = {connection.id for connection in due}
    found = [*due, *(each for each in ended if each.id not in known)]
    for some in (
        found[start : start + SUBMITTED_AT_ONCE] for start in range(0, len(found), SUBMITTED_AT_ONCE)
    ):
        for connection in some:
            await queue.submit(_job_for(connection, now))
        # Only now: a crash in between submits the same slots again, which are the same
        # jobs.
        times = [(each.tenant_id, each.id, schedule.next_due(each, now)) for each in some]
        await services.db.write(partial(connections.schedule_all, times=times))


def _job_for(connection: Connection, now: datetime) -> Job:
    people = connection.people
    return Job(
        *(JobKind.CYCLE, connection.id, schedule.slot(connection, now)),
        is_scheduled=True,
        is_large=people is not None and people >= LARGE,
        is_small=people is not None and people < MANY_PEOPLE,
    )


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs jobs in this process, be it a worker or a command that found none."""

    services: WorkerServices
    lease: LeaseSettings
    """How leases are held here; whether they give way depends on the job."""
    watch: Watch = ignore_progress

    async def run(self, job: Job, halt: asyncio.Event) -> Mapping[str, JsonValue]:
        """Run a job to its end and return its result.

        That is `report` (on demand `reports`), `skipped` with the reason, or `error`
        and `remedy`. Raises `Yielded` if halted, `DatabaseAway` if the job is to begin
        again.
        """
        with structlog.contextvars.bound_contextvars(job=job.id), _counted(job):
            try:
                return await self._run(job, halt)
            except Exception as error:
                ended = as_worker_error(error)
                if isinstance(ended, Yielded | DatabaseAway):
                    raise ended from error
                return _error_to_json(ended)

    async def _run(self, job: Job, halt: asyncio.Event) -> Mapping[str, JsonValue]:
        connection = await self._connection(job)
        if why := _is_idle(job, connection):
            return {"skipped": why}
        if job.kind is JobKind.ON_DEMAND:
            return await self._on_demand(job, connection, halt)
        if job.kind is JobKind.PLAN:
            return await self._plan(job, connection, halt)
        return await self._cycle(job, connection, halt)

    async def _connection(self, job: Job) -> Connection:
        async with self.services.db.reading(single_statement=True) as conn:
            known = await connections.find_by_id(conn, job.connection_id)
            return known or await connections.find(conn, job.connection_id)

    async def _on_demand(
        self, job: Job, connection: Connection, halt: asyncio.Event
    ) -> Mapping[str, JsonValue]:
        async with sharing_graph(self.services) as services:
            async with self._holding(connection, halt, gives_way=False, wait_s=LEASE_WAIT_S) as hold:
                done = await provision_each(
                    *(services, connection, hold, job.subjects),
                    is_dry_run=job.is_dry_run,
                    watch=self.watch,
                    actor=job.actor,
                )
            reports = [one.report for one in done]
            if job.asks_entra:
                asking = Asking(services, connection, halt, self.watch, {})
                reports = [
                    await ask_entra(asking, one.report, one.subject, is_dry_run=job.is_dry_run)
                    for one in done
                ]
        return {"reports": [report.to_json() for report in reports]}

    async def _plan(self, job: Job, connection: Connection, halt: asyncio.Event) -> Mapping[str, JsonValue]:
        """Apply an approved plan; one that another run has applied is done."""
        assert job.plan_id is not None
        actor = job.actor or UNATTENDED
        async with self._holding(connection, halt, gives_way=False, wait_s=LEASE_WAIT_S) as hold:
            plan = await self._find_plan(connection, job.plan_id)
            if plan.status is not PlanStatus.APPLIED:
                of = self.services, connection, hold, plan.id
                plan = (await held_plans.apply_approved(*of, actor, self.watch)).plan
        return {"report": held_plans.report_of(plan)}

    async def _find_plan(self, connection: Connection, plan_id: PlanId) -> HeldPlan:
        async with self.services.db.reading() as conn:
            return await stored_plans.get(conn, connection.tenant_id, plan_id)

    async def _cycle(self, job: Job, connection: Connection, halt: asyncio.Event) -> Mapping[str, JsonValue]:
        """Run the cycle, again each time it yielded to on-demand work."""
        wait_s = 0.0 if job.is_scheduled else LEASE_WAIT_S
        request = CycleRequest(is_full=job.is_full, is_dry_run=job.is_dry_run)
        yields = 0
        while True:
            gives_way = yields < MOST_YIELDS
            try:
                async with self._holding(connection, halt, gives_way=gives_way, wait_s=wait_s) as hold:
                    lease = hold.lease
                    report = await run_cycle(self.services, connection, hold, request, self.watch)
                await self._release_memory(connection, report)
                return {"report": report.to_json()}
            except LeaseHeld as busy:
                if not job.is_scheduled:
                    raise
                await self._come_back(connection, busy.held)
                return {"skipped": str(busy)}
            except LeaseLost:
                if job.is_scheduled:
                    await self._begin_again(connection, lease)
                raise
            except Yielded:
                if halt.is_set():
                    raise
            yields += 1
            await _pause(halt, MAKE_WAY_S)
            wait_s = LEASE_WAIT_S

    async def _release_memory(self, connection: Connection, report: CycleReport) -> None:
        people = report.counts.get("users") or connection.people or 0
        if report.kind is not CycleKind.INCREMENTAL and people >= MANY_PEOPLE:
            with suppress(StoreError):  # a cycle that is done does not fail for it
                await database.release_memory(self.services.db)
            release_memory()

    async def _come_back(self, connection: Connection, held: Lease) -> None:
        """Make the connection due when that lease ends.

        Its holder may have been killed, and no other signal would say so.
        """
        tenant_id = connection.tenant_id

        async def work(conn: AsyncConnection) -> None:
            now = await leases.get(conn, tenant_id, connection.id)
            if now is not None and (now.token, now.holder) == (held.token, held.holder):
                await connections.schedule(conn, tenant_id, connection.id, now.until)

        await self.services.db.write(work)

    async def _begin_again(self, connection: Connection, lost: Lease) -> None:
        """Make the connection due soon if the lease ran out and no other took it.

        This process, or its machine, was too slow to renew it. Its slot is used up: the
        leavers of this cycle would wait for the next one.
        """
        tenant_id, pause = connection.tenant_id, timedelta(seconds=self.lease.duration_s)

        async def work(conn: AsyncConnection) -> None:
            now = await leases.get(conn, tenant_id, connection.id)
            if now is not None and now.token == lost.token:
                await connections.schedule(conn, tenant_id, connection.id, self.services.clock() + pause)

        await self.services.db.write(work)

    def _holding(
        self, connection: Connection, halt: asyncio.Event, *, gives_way: bool, wait_s: float
    ) -> AbstractAsyncContextManager[Hold]:
        settings = replace(self.lease, gives_way=gives_way, wait_s=wait_s, halt=halt)
        return holding(self.services.db, self.services.clock, connection.tenant_id, connection.id, settings)


@contextmanager
def _counted(job: Job) -> Iterator[None]:
    metrics.RUNNING.labels(job.kind).inc()
    try:
        yield
    finally:
        metrics.RUNNING.labels(job.kind).dec()


def _is_idle(job: Job, connection: Connection) -> str | None:
    """Return why there is nothing to do, or None if there is."""
    if connection.paused_at is not None and not job.while_paused:
        all_the_same = "; for this alone: --while-paused" if job.kind is JobKind.ON_DEMAND else ""
        return (
            f"the connection is paused; to let it work again: leaver connection resume {connection.name}"
            f"{all_the_same}"
        )
    last = connection.last_cycle_at
    if job.is_scheduled and last is not None and schedule.slot_of(last) >= job.slot:
        return "a later cycle has run already"
    return None


def release_memory() -> None:
    """Give back what the reading of a large directory took.

    Computed results hold on to the whole reading, and what is freed stays with the C
    library for the next use.
    """
    forget_results()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU C library
    if trim is not None:
        trim(0)


async def _pause(halt: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(halt.wait(), seconds)


def _error_to_json(error: WorkerError) -> dict[str, JsonValue]:
    """Return the result of a job that failed outside of a cycle."""
    remedy = error.remedy if isinstance(error, NeedsHuman) else None
    return {"error": str(error), "remedy": remedy}
