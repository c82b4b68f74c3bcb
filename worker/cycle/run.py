"""One run of the worker over one connection: the page of design.md §4, with no decision in it.

    read -> load -> plan -> judge -> confirm -> apply -> report

A cycle is incremental where that is sure to be right, and reads everything where it is not: in the same run, if
doubts come up on the way. What can be decided is decided by `worker.reconcile`; what is written is written under
the connection's lease.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from store.records import (
    UNATTENDED,
    Cause,
    Connection,
    Cycle,
    CycleKind,
    CycleStatus,
    Mode,
    Origin,
    OutcomeStatus,
    Policy,
)
from store.sync import cycles
from worker import metrics
from worker.apply import findings
from worker.apply.apply_plan import Applied, apply
from worker.cycle import checkpoint, incremental, missed_drift, record
from worker.cycle import report as reports
from worker.cycle.checkpoint import Heritage
from worker.cycle.incremental import NeedsFull
from worker.cycle.load_state import load_history, load_unsettled
from worker.cycle.report import CycleReport
from worker.errors import DatabaseAway, InstallationFault, LeaseLost, NeedsHuman, Yielded, as_worker_error
from worker.locks.hold import Hold
from worker.progress import Tell, Watch, nobody, telling
from worker.reconcile import entitlement, guard
from worker.reconcile.digests import Looked
from worker.reconcile.plan import Plan, Settlement
from worker.reconcile.planning import planner
from worker.reconcile.snapshot import Evidence, Snapshot
from worker.services import Services

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

log = structlog.get_logger(__name__)

DRY_RUN = "It was a dry run: nothing is applied."
COLLECT = (100_000, 20, 100)
"""A cycle holds millions of objects, and no cycles among them: looking for some was a quarter of its time."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a cycle beyond the connection's policy."""

    is_full: bool = False
    """Read everything anew, whatever is due."""
    is_dry_run: bool = False
    """Find out and report, change nothing."""


@dataclass(slots=True)
class Run:
    """One cycle under way; it may turn from an increment into a full one."""

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
class Ready:
    """Everything a cycle worked out before the first write."""

    snapshot: Snapshot
    plan: Plan
    evidence: Mapping[str, Evidence]
    settlement: Settlement
    judged_at: datetime
    counts: Mapping[str, int]
    heritage: Heritage | None
    """What the next increment may continue from."""
    looked_at: frozenset[str] | None = None
    """By an increment: see `recording.Ending`."""
    missed: int | None = None
    looked: Looked | None = None
    """By a cycle that read everything: on what rows may agree from now on."""


@dataclass(frozen=True, slots=True)
class Begin:
    """Where a cycle began: what changed here later may be newer than what it reads."""

    at: datetime
    events_id: int
    """The last of our own events before it."""


async def run_cycle(
    services: Services,
    connection: Connection,
    hold: Hold,
    wish: Wish | None = None,
    watch: Watch = nobody,
) -> CycleReport:
    """Runs one cycle under the lease and writes down what it came to, whatever that is.

    A failure is a report with status `failed`; the next cycle is put off, and the connection quarantined
    where only a person can help. Raises `Yielded` where it gave way, `LeaseLost` where another took over,
    `DatabaseAway` where our own database stopped answering: that says nothing about the connection.
    """
    started = time.monotonic()
    gc.set_threshold(*COLLECT)
    wish = wish or Wish()
    cycle = await record.begin(services, connection, hold.fence, *await _kind(services, connection, wish))
    run = Run(services, connection, hold, cycle, wish, started)
    with structlog.contextvars.bound_contextvars(cycle=cycle.id, connection=connection.id):
        log.info("cycle.started", kind=cycle.kind, why_full=cycle.why_full)
        try:
            report = await _recorded(run, watch)
        except LeaseLost:
            log.warning("cycle.lease_lost")  # whoever has the lease now writes that this cycle did not end
            raise
        except DatabaseAway:
            log.warning("cycle.database_away")
            raise
        log.info("cycle.ended", status=report.status, drift=report.drift, applied=report.applied)
    metrics.note_cycle(report.kind, report.status, report.duration_s, report.drift, report.applied)
    return report


async def _recorded(run: Run, watch: Watch) -> CycleReport:
    """Runs the cycle; however it ends, its row says so."""
    try:
        async with telling(run.services.db, run.connection.tenant_id, run.cycle.id, watch) as tell:
            ready, applied = await _reconcile(run, tell)
        return await _report(run, ready, applied)
    except Exception as error:
        sorted_error = as_worker_error(error)
        if isinstance(sorted_error, DatabaseAway):
            await record.cut_off(run.services, run.connection, run.cycle, run.hold.fence, sorted_error)
        if isinstance(sorted_error, LeaseLost | DatabaseAway):
            raise sorted_error from error
        if isinstance(sorted_error, Yielded):
            await record.end_early(
                run.services, run.connection, run.cycle, run.hold.fence, CycleStatus.YIELDED, str(error)
            )
            log.info("cycle.yielded", why=str(error))
            raise
        return await _failed(run, sorted_error)


async def _reconcile(run: Run, tell: Tell) -> tuple[Ready, Applied]:
    async with run.services.open_graph(run.connection) as graph:
        ready = await _prepare(run, graph, tell)
    changes = ready.settlement.apply

    async def safe_point(done: int) -> None:
        tell("apply", done, len(changes))
        await run.hold.safe_point()

    await safe_point(0)
    return ready, await apply(run.services.db, run.connection, changes, run.cause, safe_point)


async def _prepare(run: Run, graph: GraphClient, tell: Tell) -> Ready:
    from worker.graph.errors import GraphTerminal

    begin = await _begin(run)
    if run.cycle.kind is not CycleKind.INCREMENTAL:
        return await _whole(run, graph, tell, begin)
    try:
        return await run.hold.unless_told(_increment(run, graph, tell, begin))
    except (NeedsFull, GraphTerminal) as doubt:
        log.info("cycle.reads_everything", why=str(doubt))
        run.cycle = await record.read_everything(
            run.services, run.connection, run.hold.fence, run.cycle, str(doubt)
        )
    return await _whole(run, graph, tell, begin)


async def _begin(run: Run) -> Begin:
    async with run.services.db.reading() as conn:
        return Begin(datetime.now(UTC), await checkpoint.here_now(conn, run.connection))


async def _whole(run: Run, graph: GraphClient, tell: Tell, begin: Begin) -> Ready:
    """Everything is read, loaded and compared."""
    from worker.graph.read.evidence import confirm
    from worker.graph.read.snapshot import read_snapshot

    services, connection, hold = run.services, run.connection, run.hold
    links = await checkpoint.take_links(services, connection, graph)
    snapshot = await hold.unless_told(read_snapshot(graph, connection, run.cycle.kind, tell))
    # Where an increment was tried first: what was pushed since then is younger all the same (invariant I7).
    snapshot = replace(snapshot, taken_at=begin.at)
    now = services.clock()
    standing = entitlement.entitlement(snapshot, run.policy)
    loading = load_unsettled(services.db, connection, snapshot, standing)
    state, focus = await hold.unless_told(loading)
    history = await load_history(services.db, connection, now)
    # In a thread: planning for a million people takes seconds, and the lease is renewed meanwhile.
    thinking = asyncio.to_thread(planner.plan, snapshot, state, run.policy, now, focus, standing)
    plan = await hold.unless_told(thinking)
    verdict = guard.judge(plan, snapshot, state, history, run.policy, now, standing)
    evidence = await hold.unless_told(confirm(graph, connection, plan.absentees, snapshot.members))
    looked = Looked(snapshot, standing, state, focus, plan)
    missed = await missed_drift.count_missed(services, connection, graph, run.cycle, looked)
    return Ready(
        snapshot=snapshot,
        plan=plan,
        evidence=evidence,
        settlement=guard.settle(plan, verdict, evidence),
        judged_at=now,
        counts=standing.counts,
        heritage=checkpoint.heritage(connection, links, snapshot, begin.events_id),
        missed=missed,
        looked=looked,
    )


async def _increment(run: Run, graph: GraphClient, tell: Tell, begin: Begin) -> Ready:
    """Only who changed is read, loaded and compared. Raises `NeedsFull` at the first doubt."""
    from worker.graph.read.evidence import confirm
    from worker.graph.read.focus import start_reading

    services, connection = run.services, run.connection
    since, before, history = await incremental.remember(services, connection)
    reading = await start_reading(graph, connection, begin.at)
    clues = await incremental.clues(services, connection, graph, reading, since, begin.events_id)
    look = await incremental.look(services, connection, reading, clues.focus, tell, before.get("users", 0))
    now = services.clock()
    plan = planner.plan(look.snapshot, look.state, run.policy, now, look.focus)
    verdict = incremental.sure(guard.judge(plan, look.snapshot, look.state, history, run.policy, now))
    evidence = await confirm(graph, connection, plan.absentees, look.snapshot.members)
    return Ready(
        snapshot=look.snapshot,
        plan=plan,
        evidence=evidence,
        settlement=incremental.settled(plan, verdict, evidence),
        judged_at=now,
        counts=incremental.counts_after(before, look, plan),
        heritage=clues.heritage,
        looked_at=incremental.looked_at(look),
    )


def _heritage(ready: Ready, status: CycleStatus) -> Heritage | None:
    """What the next increment continues from; none where a removal was not confirmed: a full cycle asks again."""
    is_asked_again = status is CycleStatus.APPLIED and ready.settlement.dropped
    return None if is_asked_again or not ready.heritage else ready.heritage.leaving(ready.plan.again)


async def _report(run: Run, ready: Ready, applied: Applied) -> CycleReport:
    doubts = guard.unproven(ready.snapshot, run.policy.scope, ready.judged_at)
    is_complete = not doubts and not ready.settlement.is_refuted
    status = reports.status_of(run.policy.mode, ready.settlement, is_complete=is_complete)
    ending = record.Ending(
        status=status,
        complete=is_complete,
        completeness=ready.snapshot.completeness,
        counts=ready.counts,
        drift=findings.counts(ready.plan, ready.settlement),
        applied=applied.counts,
        skipped=applied.skipped + applied.failed,
        scope_key=entitlement.scope_key(ready.snapshot, run.policy),
        findings=findings.findings(
            ready.plan, ready.settlement, applied, ready.evidence, run.services.clock()
        ),
        settlement=ready.settlement,
        keeps_beat=not run.wish.is_dry_run,
        looked_at=ready.looked_at,
        missed=ready.missed,
        heritage=_heritage(ready, status),
    )
    if ready.looked and is_complete and not run.wish.is_dry_run:
        await record.agree(run.services, run.connection, run.hold.fence, _with_outcome(ready.looked, applied))
    held = await record.end(run.services, run.connection, run.cycle, run.hold.fence, ending)
    return CycleReport(
        cycle_id=run.cycle.id,
        kind=run.cycle.kind,
        status=ending.status,
        complete=is_complete,
        duration_s=run.duration_s,
        counts=ending.counts,
        drift=ending.drift,
        applied=ending.applied,
        skipped=applied.skipped,
        failed=applied.failed,
        held_plan=held,
        reasons=_reasons(run, ready),
        remedy=reports.READ_AGAIN if ending.status is CycleStatus.INCOMPLETE else None,
        why_full=run.cycle.why_full,
        increments_missed=ready.missed,
    )


def _reasons(run: Run, ready: Ready) -> tuple[str, ...]:
    """Why not everything was applied. A dry run is decided as mode `report` would, and says what it is."""
    reasons = ready.settlement.reasons
    if not run.wish.is_dry_run or run.connection.policy.mode is Mode.REPORT:
        return reasons
    return tuple(DRY_RUN if reason == guard.REPORT_MODE else reason for reason in reasons)


def _with_outcome(looked: Looked, applied: Applied) -> Looked:
    done = zip(applied.changes, applied.statuses, strict=True)
    took_effect = [change for change, status in done if status is OutcomeStatus.APPLIED]
    return replace(looked, applied=took_effect, versions=applied.versions)


async def _failed(run: Run, error: Exception) -> CycleReport:
    await record.end_early(
        run.services, run.connection, run.cycle, run.hold.fence, CycleStatus.FAILED, str(error)
    )
    if isinstance(error, InstallationFault):
        log.warning("installation.fault", error=type(error).__name__, what=str(error), remedy=error.remedy)
    elif not run.wish.is_dry_run:
        after = await record.note_failure(run.services, run.connection, run.hold.fence, error)
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


async def _kind(services: Services, connection: Connection, wish: Wish) -> tuple[CycleKind, str | None]:
    """Whether the cycle may be an increment, and why not. The first that reads everything is the initial one."""
    now = services.clock()
    async with services.db.reading() as conn:
        memory = await cycles.history(conn, connection.tenant_id, connection.id, now)
        last_full_at = memory.last_complete_at
        why = await checkpoint.why_full(conn, connection, last_full_at, now)
    why = "It was asked for." if wish.is_full else why
    if memory.last_complete_at is None:
        return CycleKind.INITIAL, why
    return (CycleKind.FULL, why) if why else (CycleKind.INCREMENTAL, None)
