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
    REMOVALS,
    UNATTENDED,
    Cause,
    Connection,
    Cycle,
    CycleKind,
    CycleStatus,
    EvidenceAge,
    Mode,
    Origin,
    OutcomeStatus,
    Policy,
)
from store.sync import cycles
from worker import metrics
from worker.apply import findings
from worker.apply.apply_plan import Applied, apply
from worker.apply.removal_evidence import evidence_age, reverification
from worker.cycle import checkpoint, incremental, missed_drift, record
from worker.cycle import report as reports
from worker.cycle.checkpoint import CheckpointDraft
from worker.cycle.incremental import FullCycleRequired
from worker.cycle.load_state import load_history, load_unsettled
from worker.cycle.report import CycleReport
from worker.errors import DatabaseAway, InstallationFault, LeaseLost, NeedsHuman, Yielded, as_worker_error
from worker.locks.hold import Hold
from worker.progress import ProgressReporter, Watch, ignore_progress, report_progress
from worker.reconcile import guard
from worker.reconcile.digests import ComparedState
from worker.reconcile.entitlement import entitlement_of, scope_key
from worker.reconcile.plan import Plan, PlanPartition
from worker.reconcile.planning import planner
from worker.reconcile.snapshot import Evidence, Snapshot
from worker.services import WorkerServices

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

log = structlog.get_logger(__name__)

DRY_RUN = "It was a dry run: nothing is applied."
COLLECT = (100_000, 20, 100)
"""A cycle holds millions of objects, and no cycles among them: looking for some was a quarter of its time."""


@dataclass(frozen=True, slots=True)
class CycleRequest:
    """What is wanted of a cycle beyond the connection's policy."""

    is_full: bool = False
    """Read everything anew, whatever is due."""
    is_dry_run: bool = False
    """Find out and report, change nothing."""


@dataclass(slots=True)
class CycleRun:
    """One cycle under way; it may turn from an increment into a full one."""

    services: WorkerServices
    connection: Connection
    hold: Hold
    cycle: Cycle
    request: CycleRequest
    started: float
    """By the monotonic clock."""

    @property
    def policy(self) -> Policy:
        mode = Mode.REPORT if self.request.is_dry_run else self.connection.policy.mode
        return replace(self.connection.policy, mode=mode)

    @property
    def cause(self) -> Cause:
        return Cause(Origin.GRAPH, self.cycle.id, UNATTENDED, self.hold.fence)

    @property
    def duration_s(self) -> float:
        return round(time.monotonic() - self.started, 3)


@dataclass(frozen=True, slots=True)
class PreparedCycle:
    """Everything a cycle worked out before the first write."""

    snapshot: Snapshot
    plan: Plan
    evidence: Mapping[str, Evidence]
    evidence_age: EvidenceAge
    settlement: PlanPartition
    judged_at: datetime
    counts: Mapping[str, int]
    draft: CheckpointDraft | None
    """What the next increment may continue from."""
    looked_at: frozenset[str] | None = None
    """By an increment: see `recording.Ending`."""
    missed: int | None = None
    compared: ComparedState | None = None
    """By a cycle that read everything: on what rows may agree from now on."""


@dataclass(frozen=True, slots=True)
class CycleStart:
    """Where a cycle began: what changed here later may be newer than what it reads."""

    at: datetime
    events_id: int
    """The last of our own events before it."""


async def run_cycle(
    services: WorkerServices,
    connection: Connection,
    hold: Hold,
    request: CycleRequest | None = None,
    watch: Watch = ignore_progress,
) -> CycleReport:
    """Runs one cycle under the lease and writes down what it came to, whatever that is.

    A failure is a report with status `failed`; the next cycle is put off, and the connection quarantined
    where only a person can help. Raises `Yielded` where it gave way, `LeaseLost` where another took over,
    `DatabaseAway` where our own database stopped answering: that says nothing about the connection.
    """
    started = time.monotonic()
    gc.set_threshold(*COLLECT)
    request = request or CycleRequest()
    cycle = await record.begin(services, connection, hold.fence, *await _kind(services, connection, request))
    run = CycleRun(services, connection, hold, cycle, request, started)
    with structlog.contextvars.bound_contextvars(cycle=cycle.id, connection=connection.id):
        log.info("cycle.started", kind=cycle.kind, why_full=cycle.why_full)
        try:
            report = await _cycle_record(run, watch)
        except LeaseLost:
            log.warning("cycle.lease_lost")  # whoever has the lease now writes that this cycle did not end
            raise
        except DatabaseAway:
            log.warning("cycle.database_away")
            raise
        log.info("cycle.ended", status=report.status, drift=report.drift, applied=report.applied)
    metrics.note_cycle(report.kind, report.status, report.duration_s, report.drift, report.applied)
    return report


async def _cycle_record(run: CycleRun, watch: Watch) -> CycleReport:
    """Runs the cycle; however it ends, its row says so."""
    try:
        async with report_progress(run.services.db, run.connection.tenant_id, run.cycle.id, watch) as tell:
            prepared, applied = await _reconcile(run, tell)
        return await _report(run, prepared, applied)
    except Exception as error:
        sorted_error = as_worker_error(error)
        if isinstance(sorted_error, DatabaseAway):
            await record.mark_interrupted(
                run.services, run.connection, run.cycle, run.hold.fence, sorted_error
            )
        if isinstance(sorted_error, LeaseLost | DatabaseAway):
            raise sorted_error from error
        if isinstance(sorted_error, Yielded):
            await record.finish_early(
                run.services, run.connection, run.cycle, run.hold.fence, CycleStatus.YIELDED, str(error)
            )
            log.info("cycle.yielded", why=str(error))
            raise
        return await _failed(run, sorted_error)


async def _reconcile(run: CycleRun, tell: ProgressReporter) -> tuple[PreparedCycle, Applied]:
    async with run.services.open_graph(run.connection) as graph:
        prepared = await _prepare(run, graph, tell)
    changes = prepared.settlement.apply

    async def safe_point(done: int) -> None:
        tell("apply", done, len(changes))
        await run.hold.checkpoint_or_yield()

    await safe_point(0)
    applied = await apply(
        run.services.db,
        run.connection,
        changes,
        replace(run.cause, evidence=prepared.evidence_age),
        safe_point,
        clock=run.services.clock,
        reverify=reverification(run.services, run.connection, prepared.plan),
    )
    return prepared, applied


async def _prepare(run: CycleRun, graph: GraphClient, tell: ProgressReporter) -> PreparedCycle:
    from worker.graph.errors import GraphTerminal

    begin = await _start(run)
    if run.cycle.kind is not CycleKind.INCREMENTAL:
        return await _prepare_full(run, graph, tell, begin)
    try:
        return await run.hold.run_interruptible(_prepare_incremental(run, graph, tell, begin))
    except (FullCycleRequired, GraphTerminal) as doubt:
        log.info("cycle.reads_everything", why=str(doubt))
        run.cycle = await record.read_everything(
            run.services, run.connection, run.hold.fence, run.cycle, str(doubt)
        )
    return await _prepare_full(run, graph, tell, begin)


async def _start(run: CycleRun) -> CycleStart:
    async with run.services.db.reading() as conn:
        return CycleStart(datetime.now(UTC), await checkpoint.last_event_id(conn, run.connection))


async def _prepare_full(
    run: CycleRun, graph: GraphClient, tell: ProgressReporter, begin: CycleStart
) -> PreparedCycle:
    """Everything is read, loaded and compared."""
    from worker.graph.read.evidence import verify_absentees
    from worker.graph.read.snapshot import read_snapshot

    services, connection, hold = run.services, run.connection, run.hold
    links = await checkpoint.take_links(services, connection, graph)
    snapshot = await hold.run_interruptible(read_snapshot(graph, connection, run.cycle.kind, tell))
    # Where an increment was tried first: what was pushed since then is younger all the same (invariant I7).
    snapshot = replace(snapshot, taken_at=begin.at)
    now = services.clock()
    entitlement = entitlement_of(snapshot, run.policy)
    loading = load_unsettled(services.db, connection, snapshot, entitlement)
    state, focus = await hold.run_interruptible(loading)
    history = await load_history(services.db, connection, now)
    # In a thread: planning for a million people takes seconds, and the lease is renewed meanwhile.
    thinking = asyncio.to_thread(planner.plan, snapshot, state, run.policy, now, entitlement, focus)
    plan = await hold.run_interruptible(thinking)
    verdict = guard.judge(plan, snapshot, state, history, run.policy, now, entitlement)
    age = await evidence_age(services, connection)
    evidence = await hold.run_interruptible(
        verify_absentees(graph, connection, plan.absentees, snapshot.members)
    )
    compared = ComparedState(snapshot, entitlement, state, focus, plan)
    missed = await missed_drift.count_missed(services, connection, graph, run.cycle, compared)
    return PreparedCycle(
        snapshot=snapshot,
        plan=plan,
        evidence=evidence,
        evidence_age=age,
        settlement=guard.partition(plan, verdict, evidence),
        judged_at=now,
        counts=entitlement.counts,
        draft=checkpoint.draft_checkpoint(connection, links, snapshot, begin.events_id),
        missed=missed,
        compared=compared,
    )


async def _prepare_incremental(
    run: CycleRun, graph: GraphClient, tell: ProgressReporter, begin: CycleStart
) -> PreparedCycle:
    """Only who changed is read, loaded and compared. Raises `NeedsFull` at the first doubt."""
    from worker.graph.read.evidence import verify_absentees
    from worker.graph.read.focus import start_reading

    services, connection = run.services, run.connection
    since, before, history = await incremental.load_checkpoint(services, connection)
    reading = await start_reading(graph, connection, begin.at)
    changed = await incremental.find_changed_subjects(
        services, connection, graph, reading, since, begin.events_id
    )
    look = await incremental.read_focus(
        services, connection, reading, changed.focus, tell, before.get("users", 0)
    )
    now = services.clock()
    entitlement = entitlement_of(look.snapshot, run.policy)
    plan = planner.plan(look.snapshot, look.state, run.policy, now, entitlement, look.focus)
    verdict = incremental.require_certain(
        guard.judge(plan, look.snapshot, look.state, history, run.policy, now, entitlement)
    )
    age = await evidence_age(services, connection)
    evidence = await verify_absentees(graph, connection, plan.absentees, look.snapshot.members)
    return PreparedCycle(
        snapshot=look.snapshot,
        plan=plan,
        evidence=evidence,
        evidence_age=age,
        settlement=incremental.partition_or_full(plan, verdict, evidence),
        judged_at=now,
        counts=incremental.counts_after(before, look, plan),
        draft=changed.draft,
        looked_at=incremental.ids_compared(look),
    )


def _checkpoint_to_save(prepared: PreparedCycle, status: CycleStatus) -> CheckpointDraft | None:
    """What the next increment continues from; none where a removal was not confirmed: a full cycle asks again."""
    is_asked_again = status in (CycleStatus.APPLIED, CycleStatus.HELD) and prepared.settlement.dropped
    return None if is_asked_again or not prepared.draft else prepared.draft.with_recheck(prepared.plan.again)


async def _report(run: CycleRun, prepared: PreparedCycle, applied: Applied) -> CycleReport:
    doubts = guard.incompleteness(prepared.snapshot, run.policy.scope, prepared.judged_at)
    is_complete = not doubts and not prepared.settlement.is_refuted
    status = reports.status_of(run.policy.mode, prepared.settlement, is_complete=is_complete)
    ending = record.CycleOutcome(
        status=status,
        complete=is_complete,
        completeness=prepared.snapshot.completeness,
        counts=prepared.counts,
        drift=findings.counts(prepared.plan, prepared.settlement),
        applied=applied.counts,
        skipped=applied.skipped + applied.failed,
        scope_key=scope_key(prepared.snapshot, run.policy),
        findings=findings.findings(
            prepared.plan, prepared.settlement, applied, prepared.evidence, run.services.clock()
        ),
        settlement=prepared.settlement,
        keeps_beat=not run.request.is_dry_run,
        looked_at=prepared.looked_at,
        missed=prepared.missed,
        due_removals=frozenset(c.removal_key for c in prepared.plan.changes if c.action in REMOVALS),
        left_alone=prepared.plan.again,
        draft=_checkpoint_to_save(prepared, status),
    )
    if prepared.compared and is_complete and not run.request.is_dry_run:
        await record.save_digests(
            run.services, run.connection, run.hold.fence, _with_outcome(prepared.compared, applied)
        )
    held = await record.finish(run.services, run.connection, run.cycle, run.hold.fence, ending)
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
        reasons=_reasons(run, prepared),
        remedy=reports.READ_AGAIN if ending.status is CycleStatus.INCOMPLETE else None,
        why_full=run.cycle.why_full,
        increments_missed=prepared.missed,
    )


def _reasons(run: CycleRun, prepared: PreparedCycle) -> tuple[str, ...]:
    """Why not everything was applied. A dry run is decided as mode `report` would, and says what it is."""
    reasons = prepared.settlement.reasons
    if not run.request.is_dry_run or run.connection.policy.mode is Mode.REPORT:
        return reasons
    return tuple(DRY_RUN if reason == guard.REPORT_MODE else reason for reason in reasons)


def _with_outcome(compared: ComparedState, applied: Applied) -> ComparedState:
    done = zip(applied.changes, applied.statuses, strict=True)
    took_effect = [change for change, status in done if status is OutcomeStatus.APPLIED]
    return replace(compared, applied=took_effect, versions=applied.versions)


async def _failed(run: CycleRun, error: Exception) -> CycleReport:
    await record.finish_early(
        run.services, run.connection, run.cycle, run.hold.fence, CycleStatus.FAILED, str(error)
    )
    if isinstance(error, InstallationFault):
        log.warning("installation.fault", error=type(error).__name__, what=str(error), remedy=error.remedy)
    elif not run.request.is_dry_run:
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


async def _kind(
    services: WorkerServices, connection: Connection, request: CycleRequest
) -> tuple[CycleKind, str | None]:
    """Whether the cycle may be an increment, and why not. The first that reads everything is the initial one."""
    now = services.clock()
    async with services.db.reading() as conn:
        memory = await cycles.history(conn, connection.tenant_id, connection.id, now)
        last_full_at = memory.last_complete_at
        why = await checkpoint.full_cycle_reason(conn, connection, last_full_at, now)
    why = "It was asked for." if request.is_full else why
    if memory.last_complete_at is None:
        return CycleKind.INITIAL, why
    return (CycleKind.FULL, why) if why else (CycleKind.INCREMENTAL, None)
