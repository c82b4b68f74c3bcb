"""The row of one run: that it runs, how far it is, and how it ended.

Cycles, on-demand requests and approved plans are all recorded by `cycle_record`, so a
failure, an interruption and a metric mean the same for each of them.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from store import errors as store_errors
from store.records import Action, Connection, Cycle, CycleKind, CycleStatus, DriftFinding, DriftKind, Fence
from store.sync import cycles, leases, report_writes
from store.tenancy import connection_health, connections
from worker import metrics
from worker.apply.apply_plan import Applied
from worker.cycle import checkpoint, schedule
from worker.errors import (
    DatabaseAway,
    InstallationFault,
    LeaseLost,
    NeedsHuman,
    TryAgain,
    WorkerError,
    Yielded,
    as_worker_error,
)
from worker.locks.hold import Hold
from worker.progress import ProgressReporter, Watch, ignore_progress, report_progress
from worker.services import WorkerServices

T = TypeVar("T")

log = structlog.get_logger(__name__)

DIED = "This cycle was cut off: its process ended, or the database was away. The next cycle looks again."


@dataclass(slots=True)
class CycleRecord:
    """One run and its row, which is written under the connection's lease."""

    services: WorkerServices
    connection: Connection
    hold: Hold
    cycle: Cycle
    is_dry_run: bool
    started: float
    """When the run began, by the monotonic clock."""
    report_progress: ProgressReporter
    failure: WorkerError | None = None
    """The error that ended the run; None while it runs and after it succeeded."""
    status: CycleStatus = CycleStatus.RUNNING
    drift: Mapping[DriftKind, int] = field(default_factory=dict)
    new_drift: Mapping[DriftKind, int] = field(default_factory=dict)
    applied: Mapping[Action, int] = field(default_factory=dict)

    @property
    def fence(self) -> Fence:
        return self.hold.fence

    @property
    def duration_s(self) -> float:
        return round(time.monotonic() - self.started, 3)

    async def under_lease(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Write in one transaction if the lease still holds. Raises `LeaseLost`
        otherwise.
        """
        return await _under_lease(self.services, self.connection, self.fence, work)

    async def read_everything(self, why: str) -> None:
        """Note that an incremental cycle turned into a full one, and why."""

        async def work(conn: AsyncConnection) -> Cycle:
            return await cycles.mark_read_everything(
                conn, self.connection.tenant_id, self.cycle.id, CycleKind.FULL, why
            )

        self.cycle = await self.under_lease(work)

    async def finish_on_demand(self, applied: Applied, repaired: Sequence[DriftFinding] = ()) -> None:
        """Note what an on-demand request or an approved plan changed and repaired.

        In the last drift report these findings are repaired as well. The next increment
        looks at who arrived: no delta names their reports. The schedule and the held
        plans stay as they are.
        """
        now = self.services.clock()

        async def work(conn: AsyncConnection) -> Sequence[DriftFinding]:
            of_cycle = (self.connection.tenant_id, self.connection.id, self.cycle.id)
            kept = await report_writes.record_repairs(conn, *of_cycle, repaired)
            if applied.arrived:
                await checkpoint.look_again(conn, self.connection, applied.arrived)
            await cycles.finish(
                conn,
                self.connection.tenant_id,
                self.cycle.id,
                cycles.CycleResult(
                    CycleStatus.APPLIED,
                    complete=None,
                    applied={action.value: number for action, number in applied.counts.items()},
                    skipped=applied.skipped + applied.failed,
                ),
                now=now,
            )
            return kept

        kept = await self.under_lease(work)
        self.status, self.applied = CycleStatus.APPLIED, applied.counts
        metrics.note_repairs(kept)

    async def finish_early(self, status: CycleStatus, why: str) -> None:
        """Note that the run yielded or failed. It proves nothing about the
        directory.
        """
        now = self.services.clock()

        async def work(conn: AsyncConnection) -> None:
            await cycles.finish(
                conn,
                self.connection.tenant_id,
                self.cycle.id,
                cycles.CycleResult(status, complete=None, error=why),
                now=now,
            )

        await self.under_lease(work)
        self.status = status


@asynccontextmanager
async def cycle_record(
    services: WorkerServices,
    connection: Connection,
    hold: Hold,
    kind: CycleKind,
    watch: Watch = ignore_progress,
    *,
    why_full: str | None = None,
    is_dry_run: bool = False,
) -> AsyncIterator[CycleRecord]:
    """Record one run. The body finishes the record if it succeeds.

    A failure ends the body early and is kept as `failure`: the code after the block
    reports it. Only a scheduled or manual cycle that writes puts the next cycle off.
    Raises `Yielded` if the run gave way, `LeaseLost` if another process took over, and
    `DatabaseAway` if Leaver's own database stopped answering: none of these says
    anything about the connection.
    """
    started = time.monotonic()
    cycle = await _begin(services, connection, hold.fence, kind, why_full, is_dry_run=is_dry_run)
    with structlog.contextvars.bound_contextvars(cycle=cycle.id, connection=connection.id):
        log.info("cycle.started", kind=cycle.kind, why_full=cycle.why_full)
        record = CycleRecord(services, connection, hold, cycle, is_dry_run, started, _ignore)
        try:
            async with report_progress(services.db, connection.tenant_id, cycle.id, watch) as reporter:
                record.report_progress = reporter
                yield record
        except Exception as error:
            await _end_with_error(record, error)
        log.info(
            "cycle.ended",
            status=record.status,
            drift={kind.value: number for kind, number in record.drift.items()},
            applied={action.value: number for action, number in record.applied.items()},
        )
    metrics.note_cycle(record.cycle.kind, record.status, record.duration_s, record.new_drift, record.applied)


def _ignore(_phase: str, _done: int, _total: int | None) -> None:
    """Stand in for the progress reporter until there is one."""


async def _begin(
    services: WorkerServices,
    connection: Connection,
    fence: Fence,
    kind: CycleKind,
    why_full: str | None,
    *,
    is_dry_run: bool,
) -> Cycle:
    """Note that a run begins, and that earlier runs which never ended have died."""
    now = services.clock()

    async def work(conn: AsyncConnection) -> Cycle:
        for unfinished in await cycles.latest(conn, connection.tenant_id, connection.id, finished=False):
            await cycles.finish(
                conn,
                connection.tenant_id,
                unfinished.id,
                cycles.CycleResult(CycleStatus.FAILED, complete=None, error=DIED),
                now=now,
            )
        return await cycles.start(
            *(conn, connection.tenant_id, connection.id, kind),
            why_full=why_full,
            is_dry_run=is_dry_run,
            now=now,
        )

    return await _under_lease(services, connection, fence, work)


async def _end_with_error(record: CycleRecord, error: Exception) -> None:
    """Record a run that raised; raise again what its caller has to know.

    The lease may turn out to be lost only here, where the end is written.
    """
    try:
        await _write_end(record, error)
    except LeaseLost:
        log.warning("cycle.lease_lost")
        raise


async def _write_end(record: CycleRecord, error: Exception) -> None:
    """Write how the run ended. Raises the error again if it is an interruption."""
    failure = as_worker_error(error)
    match failure:
        case LeaseLost():
            pass  # the process that has the lease now notes that this run did not end
        case DatabaseAway():
            # Noted only if the database is back by now; else the next run notes it.
            with suppress(store_errors.TryAgain):
                await record.finish_early(CycleStatus.FAILED, str(failure))
            log.warning("cycle.database_away")
        case Yielded():
            await record.finish_early(CycleStatus.YIELDED, str(failure))
            log.info("cycle.yielded", why=str(failure))
        case _:
            await record.finish_early(CycleStatus.FAILED, str(failure))
            await _note_failure(record, failure)
            if failure is not error:
                failure.__cause__ = error
            record.failure = failure
            return
    if failure is error:
        raise error
    raise failure from error


async def _note_failure(record: CycleRecord, failure: WorkerError) -> None:
    """Put the next cycle off if the connection is to blame for the failure.

    It is not to blame for a fault of the installation. An on-demand request and a dry
    run put nothing off either: the person who asked sees the failure.
    """
    if isinstance(failure, InstallationFault):
        log.warning(
            "installation.fault", error=type(failure).__name__, what=str(failure), remedy=failure.remedy
        )
        return
    if record.is_dry_run or record.cycle.kind is CycleKind.ON_DEMAND:
        return
    after = await _put_off(record, failure)
    # Only the failure that starts the quarantine is news.
    if after.quarantined_at == after.last_cycle_at:
        metrics.QUARANTINED.inc()
        log.warning("connection.quarantined", error=type(failure).__name__)


async def _put_off(record: CycleRecord, failure: WorkerError) -> Connection:
    """Schedule the next cycle later; quarantine the connection if a person has
    to act.
    """
    services, connection = record.services, record.connection
    now = services.clock()
    needs_human = isinstance(failure, NeedsHuman)
    reason = f"{failure} {failure.remedy}" if isinstance(failure, NeedsHuman) else str(failure)

    async def work(conn: AsyncConnection) -> Connection:
        failed = await connection_health.note_failure(
            conn, connection.tenant_id, connection.id, reason, now, quarantine=needs_human
        )
        delay_s = failure.delay_s if isinstance(failure, TryAgain) else 0.0
        if retry_at := schedule.retry_at(failed, now, delay_s):
            await connections.schedule(conn, connection.tenant_id, connection.id, retry_at)
        return failed

    return await record.under_lease(work)


async def _under_lease(
    services: WorkerServices,
    connection: Connection,
    fence: Fence,
    work: Callable[[AsyncConnection], Awaitable[T]],
) -> T:
    async def fenced(conn: AsyncConnection) -> T:
        await leases.check(conn, connection.tenant_id, fence)
        return await work(conn)

    try:
        return await services.db.write(fenced)
    except store_errors.FencedOut as error:
        raise LeaseLost(str(error)) from error
