"""Write what a finished cycle came to: drift report, held plan, digests, checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from store.logs import events
from store.records import (
    Connection,
    ConnectionId,
    CycleId,
    CycleStatus,
    DriftFinding,
    JsonValue,
    RowDigest,
    SubjectType,
    TenantId,
)
from store.sync import cycles, digests, guard_memory, held_plans, holder_notes, push_conflicts, report_writes
from store.sync.report_comparison import ReportCounts, merge_with_previous
from store.sync.report_writes import PreviousReport
from store.tenancy import connection_health, mappings
from worker import metrics
from worker.cycle import checkpoint, held_sheets, schedule
from worker.cycle.outcome import CycleOutcome, SavedOutcome
from worker.cycle.record import CycleRecord
from worker.cycle.report import HeldPlanReport
from worker.reconcile.digests import ComparedState, unchanged_groups, unchanged_users
from worker.reconcile.proof import EndedCycle, proof_after
from worker.reconcile.snapshot import Completeness

log = structlog.get_logger(__name__)

DIGESTS_PER_TRANSACTION = 5_000
_DONE = frozenset({CycleStatus.APPLIED, CycleStatus.HELD, CycleStatus.REPORTED})
FINDINGS_PER_TRANSACTION = 1_000
"""A transaction of this size makes no push wait longer than it would anyway."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What the transaction that ends a cycle wrote."""

    counts: ReportCounts
    held: HeldPlanReport | None
    connection: Connection | None
    """As it is now; None after a dry run, which leaves it alone."""


async def save_outcome(record: CycleRecord, outcome: CycleOutcome) -> SavedOutcome:
    """Write all a cycle came to, under the lease.

    The drift report goes first, in several transactions, so that no push waits for the
    whole of it. It becomes visible when the cycle ends, and that is one transaction
    with all the rest. What an increment came to is one transaction, if it is not large.
    """
    if outcome.compared is not None:
        await _save_digests(record, outcome.compared)
    written = None
    if outcome.compared_ids is not None:
        outcome = replace(outcome, findings=list(outcome.findings))
        written = await _save_at_once(record, outcome)
    if written is None:
        counts, number = await _save_drift(record, outcome)
        ending = partial(_end, record=record, outcome=outcome, counts=counts, report_number=number)
        written = await record.under_lease(ending)
    if written.connection is not None:
        _tell_of_completeness(written.connection)
    record.status, record.applied = outcome.status, outcome.applied
    record.drift, record.new_drift = written.counts.standing, written.counts.new
    return SavedOutcome(written.counts, written.held)


async def _save_at_once(record: CycleRecord, outcome: CycleOutcome) -> _Written | None:
    """Write report and end of a cycle in one transaction; None, and nothing of the
    report is written, if it is too large for one.
    """
    scope = record.connection.tenant_id, record.connection.id

    async def work(conn: AsyncConnection) -> tuple[_Written, list[DriftFinding]] | None:
        previous = await report_writes.start_report(conn, *scope)
        counts, changed = _changed(outcome, previous)
        part = list(islice(changed, FINDINGS_PER_TRANSACTION + 1))
        if len(part) > FINDINGS_PER_TRANSACTION:
            return None
        rest = list(islice(previous.remainders(), FINDINGS_PER_TRANSACTION + 1))
        if len(rest) > FINDINGS_PER_TRANSACTION:
            return None
        for findings in (part, rest):
            await _add_findings(conn, record, previous.number, findings)
        if ended_rows := previous.ended_rows:
            await report_writes.end_rows(conn, *scope, previous.number, ended_rows)
        return await _end(conn, record, outcome, counts, previous.number), part

    written = await record.under_lease(work)
    if written is None:
        return None
    metrics.note_repairs(written[1])
    return written[0]


async def _end(
    conn: AsyncConnection,
    record: CycleRecord,
    outcome: CycleOutcome,
    counts: ReportCounts,
    report_number: int,
) -> _Written:
    """Write everything but the report."""
    now, connection, cycle = record.services.clock(), record.connection, record.cycle
    scope = conn, connection.tenant_id, connection.id
    await held_plans.expire(*scope, now)
    if outcome.complete and outcome.compared_ids is None and not record.is_dry_run:
        await guard_memory.end_rows(*scope, outcome.due_removals, outcome.left_alone, now)
    if not record.is_dry_run:
        await _save_identity(conn, connection, outcome)
    held = await held_sheets.hold(conn, connection, cycle, outcome.partition, now)
    result = _result(outcome, counts, held, report_number)
    await cycles.finish(conn, connection.tenant_id, cycle.id, result, now=now)
    if record.is_dry_run:
        return _Written(counts, held, None)
    if counts.new.total():
        await _tell_of_drift(conn, connection, cycle.id, counts, now)
    await _save_checkpoint(conn, connection, outcome)
    next_due = schedule.next_due(connection, now)
    if outcome.complete and await _settle_conflicts(conn, connection, outcome):
        next_due = min(next_due, now + push_conflicts.WAKE_GAP)
    after = await connection_health.note_success(
        *(*scope, max(next_due, outcome.completeness.not_before or now), now),
        people=outcome.counts.get("users"),
        incomplete=outcome.incomplete_reason,
        proved_at=proof_after(_ended(outcome), cycle.started_at, connection.proved_at),
    )
    return _Written(counts, held, after)


def _result(
    outcome: CycleOutcome, counts: ReportCounts, held: HeldPlanReport | None, report_number: int
) -> cycles.CycleResult:
    return cycles.CycleResult(
        outcome.status,
        complete=outcome.complete,
        completeness=_completeness_to_json(outcome.completeness),
        counts=outcome.counts,
        drift={kind.value: number for kind, number in counts.standing.items()},
        findings=counts.to_json(),
        applied={action.value: number for action, number in outcome.applied.items()},
        skipped=outcome.skipped,
        held_plan_id=held.id if held else None,
        token_roles=outcome.completeness.token_roles,
        scope_key=outcome.scope_key,
        increments_missed=outcome.missed,
        report_number=report_number,
    )


async def _tell_of_drift(
    conn: AsyncConnection, connection: Connection, cycle_id: CycleId, counts: ReportCounts, now: datetime
) -> None:
    payload: dict[str, JsonValue] = {
        "new": counts.new.total(),
        "kinds": {kind.value: number for kind, number in counts.standing.items() if number},
        "states": counts.to_json(),
    }
    await events.add(conn, connection.tenant_id, connection.id, "drift.found", cycle_id, payload, now=now)


def _tell_of_completeness(connection: Connection) -> None:
    """Show how long ago a reading was complete; log it when that will last."""
    metrics.note_last_complete(connection.id, connection.last_complete_at or connection.created_at)
    if connection.is_never_complete:
        log.warning(
            "connection.incomplete",
            cycles=connection.consecutive_incomplete,
            last_complete_at=str(connection.last_complete_at or "never"),
            why=connection.incomplete_reason,
        )


async def _save_identity(conn: AsyncConnection, connection: Connection, outcome: CycleOutcome) -> None:
    of_connection = conn, connection.tenant_id, connection.id
    await holder_notes.note_missing(*of_connection, outcome.missing_holders)
    await digests.note_agreed_names(*of_connection, outcome.agreed_names)
    if outcome.mapping is not None:
        verdict = {
            "names_fit": outcome.mapping.names_fit,
            "misfits": sorted(outcome.mapping.misfits),
            "sentences": list(outcome.mapping.sentences),
        }
        await mappings.note_verdict(*of_connection, verdict)


async def _settle_conflicts(conn: AsyncConnection, connection: Connection, outcome: CycleOutcome) -> bool:
    """Note which conflicts of the push are over; return whether one is still to be
    looked at.
    """
    return await push_conflicts.settle(
        *(conn, connection.tenant_id, connection.id), outcome.conflicts, outcome.standing
    )


async def _save_checkpoint(conn: AsyncConnection, connection: Connection, outcome: CycleOutcome) -> None:
    """Save what the next increment continues from, if this cycle left nothing to do.

    Otherwise an increment keeps its own checkpoint, whose changes come up again; after
    a full cycle only another full one finds what is left.
    """
    is_done = outcome.status in _DONE and not outcome.skipped
    if is_done and outcome.draft is not None:
        await checkpoint.save(conn, connection, outcome.draft)
    elif outcome.compared_ids is None:
        await checkpoint.forget(conn, connection)


async def _save_drift(record: CycleRecord, outcome: CycleOutcome) -> tuple[ReportCounts, int]:
    """Save what changed since the report before; return the numbers of the whole report
    and its own.
    """
    scope = record.connection.tenant_id, record.connection.id
    previous = await record.under_lease(lambda conn: report_writes.start_report(conn, *scope))
    counts, changed = _changed(outcome, previous)
    while part := list(islice(changed, FINDINGS_PER_TRANSACTION)):
        await record.under_lease(partial(_add_findings, record=record, number=previous.number, part=part))
        metrics.note_repairs(part)
    await _end_changed_rows(record, previous)
    return counts, previous.number


def _changed(outcome: CycleOutcome, previous: PreviousReport) -> tuple[ReportCounts, Iterator[DriftFinding]]:
    """Return what changed since the report before, and the numbers of the whole report,
    which are counted on the way.
    """
    merged = merge_with_previous(
        outcome.findings, previous.findings, complete=outcome.complete, looked_at=outcome.compared_ids
    )
    counts = ReportCounts()
    return counts, previous.changes(counts.counting(merged, previous.findings))


async def _add_findings(
    conn: AsyncConnection, record: CycleRecord, number: int, part: list[DriftFinding]
) -> None:
    connection = record.connection
    await report_writes.add(conn, connection.tenant_id, connection.id, record.cycle.id, number, part)


async def _end_changed_rows(record: CycleRecord, previous: PreviousReport) -> None:
    """End the rows that changed, when what replaces them is written."""
    scope, number = (record.connection.tenant_id, record.connection.id), previous.number
    remainders = previous.remainders()
    while part := list(islice(remainders, FINDINGS_PER_TRANSACTION)):
        await record.under_lease(partial(_add_findings, record=record, number=number, part=part))
    ended = iter(previous.ended_rows)
    while rows := list(islice(ended, FINDINGS_PER_TRANSACTION)):
        await record.under_lease(partial(_end_rows, scope=scope, number=number, rows=rows))


async def _end_rows(
    conn: AsyncConnection, scope: tuple[TenantId, ConnectionId], number: int, rows: list[int]
) -> None:
    await report_writes.end_rows(conn, *scope, number, rows)


def _ended(outcome: CycleOutcome) -> EndedCycle:
    """Return what the proof depends on."""
    is_full = outcome.compared_ids is None
    return EndedCycle(
        outcome.status, outcome.partition, outcome.skipped, is_complete=outcome.complete, is_full=is_full
    )


async def _save_digests(record: CycleRecord, compared: ComparedState) -> None:
    """Save the digests of rows that a later cycle may skip while they stay the same."""
    for kind, unchanged in (
        (SubjectType.USER, unchanged_users(compared)),
        (SubjectType.GROUP, unchanged_groups(compared)),
    ):
        while part := list(islice(unchanged, DIGESTS_PER_TRANSACTION)):
            save = partial(_save_some_digests, connection=record.connection, kind=kind, part=part)
            await record.under_lease(save)


async def _save_some_digests(
    conn: AsyncConnection, connection: Connection, kind: SubjectType, part: list[RowDigest]
) -> None:
    await digests.save(conn, connection.tenant_id, connection.id, kind, part)


def _completeness_to_json(completeness: Completeness) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = asdict(completeness)
    body["token_roles"] = sorted(completeness.token_roles)
    body["not_before"] = completeness.not_before.isoformat() if completeness.not_before else None
    body["missing_roles"] = sorted(completeness.missing_roles)
    return body
