"""Run one cycle over one connection: the page of design.md §4, with no decision in it.

    read -> load -> plan -> judge -> confirm -> apply -> report

A cycle is incremental if that is sure to be right, and reads everything if it is not:
in the same run, if doubts come up on the way. `worker.reconcile` decides; every write
is under the connection's lease.
"""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from store.records import UNATTENDED, Cause, Connection, EvidenceAge, Mode, Origin, Policy
from store.statistics import StatisticsRefresh
from worker.apply.apply_plan import Applied, apply
from worker.apply.leaver_evidence import NOTHING_KNOWN, LeaverFacts, load_leaver_facts
from worker.apply.removal_evidence import evidence_age, reverification
from worker.cycle import checkpoint, incremental, missed_drift
from worker.cycle.checkpoint import CycleBasis, LastCheckpoint, count_entitled
from worker.cycle.incremental import FullCycleRequired
from worker.cycle.load_state import load_history, load_unsettled
from worker.cycle.outcome import PreparedCycle, failure_report, outcome_of, report_of
from worker.cycle.record import CycleRecord, cycle_record
from worker.cycle.report import CycleReport
from worker.cycle.save_outcome import save_outcome
from worker.locks.hold import Hold
from worker.progress import Watch, ignore_progress
from worker.reconcile import guard
from worker.reconcile.digests import ComparedState
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.planning import planner
from worker.reconcile.state import History
from worker.services import WorkerServices

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

log = structlog.get_logger(__name__)

COLLECT = (100_000, 20, 100)
"""Thresholds of the garbage collector.

A cycle holds millions of objects without reference circles; looking for circles took a
quarter of its time."""


@dataclass(frozen=True, slots=True)
class CycleRequest:
    """What is asked of a cycle beyond the connection's policy."""

    is_full: bool = False
    """Read everything anew, even if an increment would do."""
    is_dry_run: bool = False
    """Find and report drift, change nothing."""


@dataclass(frozen=True, slots=True)
class CycleStart:
    """Where a cycle began: a row that changed here later may be newer than the
    reading.
    """

    at: datetime
    events_id: int
    """The last event of Leaver's own before the cycle."""


async def run_cycle(
    services: WorkerServices,
    connection: Connection,
    hold: Hold,
    request: CycleRequest | None = None,
    watch: Watch = ignore_progress,
) -> CycleReport:
    """Run one cycle under the lease and record how it ended.

    A failure is a report with status `failed`; the next cycle is put off, and the
    connection quarantined if only a person can help. Raises `Yielded`, `LeaseLost` or
    `DatabaseAway` if the cycle was interrupted.
    """
    gc.set_threshold(*COLLECT)
    request = request or CycleRequest()
    basis = await checkpoint.find_basis(services, connection, is_full=request.is_full)
    async with cycle_record(
        *(services, connection, hold, basis.kind, watch),
        why_full=basis.why_full,
        is_dry_run=request.is_dry_run,
    ) as record:
        async with services.open_graph(connection) as graph:
            prepared = await _prepare(record, graph, basis)
        facts = await _leaver_facts(record, prepared)
        statistics = StatisticsRefresh(services.db)
        applied = await _apply(record, prepared, statistics)
        outcome = outcome_of(record, prepared, applied, facts)
        saved = await save_outcome(record, outcome)
        await statistics.finish(len(applied.changes))
        report = report_of(record, outcome, applied, saved)
    if record.failure is not None:
        report = failure_report(record, record.failure)
    return report


async def _prepare(record: CycleRecord, graph: GraphClient, basis: CycleBasis) -> PreparedCycle:
    from worker.graph.errors import GraphTerminal

    start = CycleStart(datetime.now(UTC), basis.events_id)
    if basis.last is None:
        return await _prepare_full(record, graph, start)
    try:
        preparing = _prepare_incremental(record, graph, start, basis.last, basis.history)
        return await record.hold.run_interruptible(preparing)
    except (FullCycleRequired, GraphTerminal) as doubt:
        log.info("cycle.reads_everything", why=str(doubt))
        await record.read_everything(str(doubt))
    return await _prepare_full(record, graph, start)


async def _prepare_full(record: CycleRecord, graph: GraphClient, start: CycleStart) -> PreparedCycle:
    """Read, load and compare everything."""
    from worker.graph.read.evidence import verify_absentees
    from worker.graph.read.snapshot import read_snapshot

    services, connection, hold = record.services, record.connection, record.hold
    policy = _policy(record)
    graph.renew_permissions()
    links = await checkpoint.take_links(services, connection, graph)
    reading = read_snapshot(graph, connection, record.cycle.kind, record.report_progress)
    # If an increment was tried first, the reading counts from its start: what was
    # pushed since then is younger all the same (invariant I7).
    snapshot = replace(await hold.run_interruptible(reading), taken_at=start.at)
    now = services.clock()
    entitlement = entitlement_of(snapshot, policy)
    loading = load_unsettled(services.db, connection, snapshot, entitlement)
    state, focus = await hold.run_interruptible(loading)
    history = await load_history(services.db, connection, now)
    # In a thread: planning for a million users takes seconds, and the lease is renewed
    # meanwhile.
    planning = asyncio.to_thread(planner.plan, snapshot, state, policy, now, entitlement, focus)
    plan = await hold.run_interruptible(planning)
    verdict = guard.judge(plan, snapshot, state, history, policy, now, entitlement)
    age = await evidence_age(services, connection)
    verifying = verify_absentees(graph, connection, plan.absentees, snapshot.members, snapshot.unknown_grants)
    evidence = await hold.run_interruptible(verifying)
    compared = ComparedState(snapshot, entitlement, state, focus, plan)
    return PreparedCycle(
        policy=policy,
        snapshot=snapshot,
        plan=plan,
        evidence=evidence,
        evidence_age=age,
        partition=guard.partition(plan, verdict, evidence),
        judged_at=now,
        counts=entitlement.counts,
        draft=checkpoint.draft_checkpoint(connection, links, entitlement, start.events_id),
        missed=await missed_drift.count_missed(services, connection, graph, compared),
        compared=compared,
    )


async def _prepare_incremental(
    record: CycleRecord, graph: GraphClient, start: CycleStart, last: LastCheckpoint, history: History
) -> PreparedCycle:
    """Read, load and compare the changed subjects only.

    Raises `FullCycleRequired` at the first doubt.
    """
    from worker.graph.read.evidence import verify_absentees
    from worker.graph.read.focus import start_reading

    services, connection, policy = record.services, record.connection, _policy(record)
    reading = await start_reading(graph, connection, start.at)
    changed = await incremental.find_changed_subjects(
        services, connection, graph, reading, last, start.events_id
    )
    data = await incremental.read_focus(services, connection, reading, changed, record.report_progress)
    now = services.clock()
    entitlement = entitlement_of(data.snapshot, policy)
    plan = planner.plan(data.snapshot, data.state, policy, now, entitlement, data.focus)
    verdict = incremental.require_certain(
        guard.judge(plan, data.snapshot, data.state, history, policy, now, entitlement)
    )
    age = await evidence_age(services, connection) if plan.changes else EvidenceAge(now, 0.0)
    evidence = await verify_absentees(graph, connection, plan.absentees, data.snapshot.members)
    counts, counted = await count_entitled(services.db, connection, last.before, data.focus, entitlement)
    return PreparedCycle(
        policy=policy,
        snapshot=data.snapshot,
        plan=plan,
        evidence=evidence,
        evidence_age=age,
        partition=incremental.partition_or_full(plan, verdict, evidence),
        judged_at=now,
        counts=counts,
        draft=changed.draft(counted),
        compared_ids=incremental.ids_compared(data),
    )


def _policy(record: CycleRecord) -> Policy:
    """Return the connection's policy; a dry run is decided as mode `report` would."""
    policy = record.connection.policy
    return replace(policy, mode=Mode.REPORT) if record.is_dry_run else policy


async def _leaver_facts(record: CycleRecord, prepared: PreparedCycle) -> LeaverFacts:
    if not prepared.plan.changes:
        return NOTHING_KNOWN
    async with record.services.db.reading() as conn:
        return await load_leaver_facts(conn, record.connection, prepared.plan.changes)


async def _apply(record: CycleRecord, prepared: PreparedCycle, statistics: StatisticsRefresh) -> Applied:
    changes = prepared.partition.apply
    cause = Cause(Origin.GRAPH, record.cycle.id, UNATTENDED, record.fence, prepared.evidence_age)

    async def safe_point(done: int) -> None:
        record.report_progress("apply", done, len(changes))
        await statistics.after(done)
        await record.hold.checkpoint_or_yield()

    await safe_point(0)
    services = record.services
    return await apply(
        services.db,
        record.connection,
        changes,
        cause,
        safe_point,
        clock=services.clock,
        reverify=reverification(services, record.connection, prepared.plan),
    )
