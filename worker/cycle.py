"""One run of the worker over one connection: the page of design.md §4, with no decision in it.

    read -> load -> plan -> judge -> confirm -> apply -> report

Every cycle reads everything. What can be decided is decided by `worker.reconcile`; what is written is written
under the connection's lease.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from store import cycles
from store.records import UNATTENDED, Cause, Connection, Cycle, CycleKind, CycleStatus, Mode, Origin, Policy
from worker import drift, metrics, recording, reports
from worker.apply import Applied, apply
from worker.errors import InstallationFault, LeaseLost, NeedsHuman, Yielded, as_worker_error
from worker.leasing import Hold
from worker.loading import load
from worker.progress import Tell, Watch, nobody, telling
from worker.reconcile import guard, planning, scope
from worker.reconcile.completeness import gaps
from worker.reconcile.plan import Plan, Settlement
from worker.reconcile.snapshot import Evidence, Snapshot
from worker.reports import CycleReport
from worker.services import Services

log = structlog.get_logger(__name__)

COLLECT = (100_000, 20, 100)
"""A cycle holds millions of objects, and no cycles among them: looking for some was a quarter of its time."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a cycle beyond the connection's policy."""

    is_full: bool = False
    """Read everything anew, which every cycle does so far."""
    is_dry_run: bool = False
    """Find out and report, change nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """One cycle under way."""

    services: Services
    connection: Connection
    hold: Hold
    cycle: Cycle
    wish: Wish
    started: float
    """By the monotonic clock."""

    @property
    def policy(self) -> Policy:
        mode = Mode.REPORT if self.wish.is_dry_run else self.connection.policy.mode
        return replace(self.connection.policy, mode=mode)

    @property
    def cause(self) -> Cause:
        return Cause(Origin.GRAPH, self.cycle.id, UNATTENDED, self.hold.fence)

    @property
    def duration_s(self) -> float:
        return round(time.monotonic() - self.started, 3)


@dataclass(frozen=True, slots=True)
class Found:
    """Everything a cycle worked out and did, before it is written down."""

    snapshot: Snapshot
    plan: Plan
    evidence: Mapping[str, Evidence]
    settlement: Settlement
    applied: Applied


async def run_cycle(
    services: Services,
    connection: Connection,
    hold: Hold,
    wish: Wish | None = None,
    watch: Watch = nobody,
) -> CycleReport:
    """Runs one cycle under the lease and writes down what it came to, whatever that is.

    A failure is a report with status `failed`; the next cycle is put off, and the connection quarantined
    where only a person can help. Raises `Yielded` where it gave way, `LeaseLost` where another took over.
    """
    started = time.monotonic()
    gc.set_threshold(*COLLECT)
    cycle = await recording.begin(services, connection, hold.fence, await _kind(services, connection))
    run = Run(services, connection, hold, cycle, wish or Wish(), started)
    with structlog.contextvars.bound_contextvars(cycle=cycle.id, connection=connection.id):
        log.info("cycle.started", kind=cycle.kind)
        try:
            report = await _recorded(run, watch)
        except LeaseLost:
            log.warning("cycle.lease_lost")  # whoever has the lease now writes that this cycle did not end
            raise
        log.info("cycle.ended", status=report.status, drift=report.drift, applied=report.applied)
    metrics.note_cycle(report.kind, report.status, report.duration_s, report.drift, report.applied)
    return report


async def _recorded(run: Run, watch: Watch) -> CycleReport:
    """Runs the cycle; however it ends, its row says so."""
    try:
        async with telling(run.services.db, run.connection.tenant_id, run.cycle.id, watch) as tell:
            found = await _reconcile(run, tell)
        return await _report(run, found)
    except Exception as error:
        sorted_error = as_worker_error(error)
        if isinstance(sorted_error, LeaseLost):
            raise sorted_error from error
        if isinstance(sorted_error, Yielded):
            await recording.end_early(
                run.services, run.connection, run.cycle, run.hold.fence, CycleStatus.YIELDED, str(error)
            )
            log.info("cycle.yielded", why=str(error))
            raise
        return await _failed(run, sorted_error)


async def _reconcile(run: Run, tell: Tell) -> Found:
    from worker.graph.evidence import confirm
    from worker.graph.reader import read_snapshot

    services, connection, hold = run.services, run.connection, run.hold
    async with services.open_graph(connection) as graph:
        snapshot = await hold.unless_told(read_snapshot(graph, connection, run.cycle.kind, tell))
        now = services.clock()
        state, history = await hold.unless_told(load(services.db, connection, now))
        # In a thread: planning for a million people takes seconds, and the lease is renewed meanwhile.
        thinking = asyncio.to_thread(planning.plan, snapshot, state, run.policy, now)
        plan = await hold.unless_told(thinking)
        verdict = guard.judge(plan, snapshot, state, history, run.policy, now)
        evidence = await hold.unless_told(confirm(graph, connection, plan.absentees, snapshot.members))
    settlement = guard.settle(plan, verdict, evidence)

    async def safe_point(done: int) -> None:
        tell("apply", done, len(settlement.apply))
        await hold.safe_point()

    await safe_point(0)
    applied = await apply(services.db, connection, settlement.apply, run.cause, safe_point)
    return Found(snapshot, plan, evidence, settlement, applied)


async def _report(run: Run, found: Found) -> CycleReport:
    is_complete = not gaps(found.snapshot, run.policy.scope) and not found.settlement.is_refuted
    ending = recording.Ending(
        status=reports.status_of(run.policy.mode, found.settlement, is_complete=is_complete),
        complete=is_complete,
        completeness=found.snapshot.completeness,
        counts=scope.counts(scope.entitlement(found.snapshot, run.policy)),
        drift=drift.counts(found.plan, found.settlement),
        applied=found.applied.counts,
        skipped=found.applied.skipped + found.applied.failed,
        scope_key=scope.scope_key(found.snapshot, run.policy),
        findings=drift.findings(
            found.plan, found.settlement, found.applied, found.evidence, run.services.clock()
        ),
        settlement=found.settlement,
        keeps_beat=not run.wish.is_dry_run,
    )
    held = await recording.end(run.services, run.connection, run.cycle, run.hold.fence, ending)
    return CycleReport(
        cycle_id=run.cycle.id,
        kind=run.cycle.kind,
        status=ending.status,
        complete=is_complete,
        duration_s=run.duration_s,
        counts=ending.counts,
        drift=ending.drift,
        applied=ending.applied,
        skipped=found.applied.skipped,
        failed=found.applied.failed,
        held_plan=held,
        reasons=found.settlement.reasons,
        remedy=reports.READ_AGAIN if ending.status is CycleStatus.INCOMPLETE else None,
    )


async def _failed(run: Run, error: Exception) -> CycleReport:
    await recording.end_early(
        run.services, run.connection, run.cycle, run.hold.fence, CycleStatus.FAILED, str(error)
    )
    if isinstance(error, InstallationFault):
        log.warning("installation.fault", error=type(error).__name__, what=str(error), remedy=error.remedy)
    elif not run.wish.is_dry_run:
        after = await recording.note_failure(run.services, run.connection, run.hold.fence, error)
        if after.quarantined_at == after.last_cycle_at:  # just now: what is repeated later is no news
            metrics.QUARANTINED.inc()
            log.warning("connection.quarantined", error=type(error).__name__)
    return CycleReport(
        cycle_id=run.cycle.id,
        kind=run.cycle.kind,
        status=CycleStatus.FAILED,
        complete=None,
        duration_s=run.duration_s,
        error=str(error),
        remedy=error.remedy if isinstance(error, NeedsHuman) else None,
    )


async def _kind(services: Services, connection: Connection) -> CycleKind:
    """The first cycle that reads everything is the initial one."""
    async with services.db.reading() as conn:
        memory = await cycles.history(conn, connection.tenant_id, connection.id, services.clock())
    return CycleKind.INITIAL if memory.last_complete_at is None else CycleKind.FULL
