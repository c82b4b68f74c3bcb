"""From a prepared and applied cycle to what is written and reported of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from store.records import (
    GUARDED,
    Action,
    Connection,
    CycleStatus,
    DriftFinding,
    DriftKind,
    EvidenceAge,
    Mode,
    OutcomeStatus,
    Policy,
    SubjectType,
)
from store.records.drift import PushConflict
from store.sync.report_comparison import ReportCounts
from worker.apply import findings
from worker.apply.apply_plan import Applied
from worker.apply.leaver_evidence import LeaverFacts
from worker.cycle.checkpoint import CheckpointDraft
from worker.cycle.record import CycleRecord
from worker.cycle.report import READ_AGAIN, CycleReport, HeldPlanReport
from worker.errors import NeedsHuman, WorkerError
from worker.reconcile import guard
from worker.reconcile.digests import ComparedState
from worker.reconcile.entitlement import scope_key
from worker.reconcile.plan import Change, Finding, Plan, PlanPartition
from worker.reconcile.snapshot import Completeness, Evidence, Focus, Snapshot
from worker.reconcile.state import MappingVerdict

_DECIDABLE = GUARDED | {Action.UPDATE}
"""Actions that can wait for a person: an update of most people as well."""

DRY_RUN = "It was a dry run: nothing is applied."


MAX_UNDECIDED = 100
"""The most users of unknown state that each increment asks for again."""


@dataclass(frozen=True, slots=True)
class PreparedCycle:
    """Everything a cycle decided before its first write."""

    policy: Policy
    """The policy it was decided under: mode `report` in a dry run."""
    snapshot: Snapshot
    plan: Plan
    evidence: Mapping[str, Evidence]
    evidence_age: EvidenceAge
    partition: PlanPartition
    judged_at: datetime
    counts: Mapping[str, int]
    draft: CheckpointDraft | None
    """The checkpoint from which the next increment may continue."""
    compared_ids: frozenset[str] | None = None
    """The subjects an increment compared: see `CycleOutcome.compared_ids`."""
    missed: int | None = None
    compared: ComparedState | None = None
    """What a full cycle compared: the source of the digests."""


@dataclass(frozen=True, slots=True)
class CycleOutcome:
    """What a cycle that came to its end writes."""

    status: CycleStatus
    complete: bool
    incomplete_reason: str | None
    """Why the reading proves no absence; None if it does."""
    completeness: Completeness
    counts: Mapping[str, int]
    applied: Mapping[Action, int]
    skipped: int
    scope_key: str
    findings: Iterable[DriftFinding]
    partition: PlanPartition
    compared_ids: frozenset[str] | None
    """The ids under which findings of an increment file its subjects.

    None for a full cycle, which compared every subject."""
    due_removals: frozenset[str]
    """Removal keys of everything that a person may have been asked about: what the
    plan would take away, and its updates."""
    missing_holders: frozenset[str]
    agreed_names: Mapping[str, tuple[str, str | None]]
    mapping: MappingVerdict | None
    conflicts: tuple[PushConflict, ...]
    """The conflicts of the push that were looked at."""
    standing: frozenset[PushConflict]
    """Those of them that are not over."""
    left_alone: frozenset[str]
    """Leaver's ids of accounts and groups that changed here while Graph was read."""
    missed: int | None
    """How many drift findings the increments before should have made."""
    draft: CheckpointDraft | None
    """The checkpoint from which the next increment may continue; None: there is
    none.
    """
    compared: ComparedState | None
    """The source of the digests; None if this cycle saves none."""


@dataclass(frozen=True, slots=True)
class SavedOutcome:
    """What was written of a cycle: its report in numbers, and the plan that waits."""

    counts: ReportCounts
    held: HeldPlanReport | None


def outcome_of(
    record: CycleRecord, prepared: PreparedCycle, applied: Applied, facts: LeaverFacts
) -> CycleOutcome:
    """Return what is to be written of a cycle whose plan was applied."""
    doubts = guard.incompleteness(prepared.snapshot, prepared.policy.scope, prepared.judged_at)
    is_complete = not doubts and not prepared.partition.is_refuted
    status = _status(prepared.policy.mode, prepared.partition, is_complete=is_complete)
    saves_digests = is_complete and not record.is_dry_run
    now = record.services.clock()
    return CycleOutcome(
        status=status,
        complete=is_complete,
        incomplete_reason=None if is_complete else next(iter((*doubts, *prepared.partition.reasons))),
        completeness=prepared.snapshot.completeness,
        counts=prepared.counts,
        applied=applied.counts,
        skipped=applied.skipped + applied.failed,
        scope_key=scope_key(prepared.snapshot, prepared.policy),
        findings=findings.findings(prepared.plan, prepared.partition, applied, prepared.evidence, now, facts),
        partition=prepared.partition,
        compared_ids=prepared.compared_ids,
        due_removals=frozenset(c.removal_key for c in prepared.plan.changes if c.action in _DECIDABLE),
        missing_holders=prepared.plan.missing_holders | _not_given(prepared.plan, applied),
        agreed_names=prepared.plan.agreed_names,
        mapping=prepared.plan.mapping if is_complete else None,
        conflicts=prepared.plan.looked_at,
        standing=prepared.plan.standing,
        left_alone=prepared.plan.again,
        missed=prepared.missed,
        draft=_checkpoint_to_save(prepared, status),
        compared=_with_applied(prepared.compared, applied) if saves_digests else None,
    )


def _not_given(plan: Plan, applied: Applied) -> frozenset[str]:
    """Return the accounts whose holder is gone and that were not given to the other
    person now.
    """
    given = {
        change.subject.local_id
        for change, status in zip(applied.changes, applied.statuses, strict=True)
        if change.action is Action.CHANGE_HOLDER and status is OutcomeStatus.APPLIED
    }
    wanted = {c.subject.local_id for c in plan.changes if c.action is Action.CHANGE_HOLDER}
    return frozenset(row for row in wanted - given if row)


def report_of(
    record: CycleRecord, outcome: CycleOutcome, applied: Applied, saved: SavedOutcome
) -> CycleReport:
    """Return the report on a cycle whose outcome was written."""
    return CycleReport(
        cycle_id=record.cycle.id,
        kind=record.cycle.kind,
        status=outcome.status,
        complete=outcome.complete,
        duration_s=record.duration_s,
        counts=outcome.counts,
        drift=dict(saved.counts.standing),
        findings=saved.counts.to_json(),
        applied=outcome.applied,
        skipped=applied.skipped,
        failed=applied.failed,
        held_plan=saved.held,
        reasons=(
            *_reasons(record.connection, outcome.partition, is_dry_run=record.is_dry_run),
            *outcome.completeness.notes,
        ),
        remedy=READ_AGAIN if outcome.status is CycleStatus.INCOMPLETE else None,
        why_full=record.cycle.why_full,
        increments_missed=outcome.missed,
    )


def failure_report(record: CycleRecord, failure: WorkerError) -> CycleReport:
    """Return the report on a cycle that failed."""
    return CycleReport(
        cycle_id=record.cycle.id,
        kind=record.cycle.kind,
        status=CycleStatus.FAILED,
        complete=None,
        duration_s=record.duration_s,
        error=str(failure),
        remedy=failure.remedy if isinstance(failure, NeedsHuman) else None,
    )


def _status(mode: Mode, partition: PlanPartition, *, is_complete: bool) -> CycleStatus:
    """Return how a cycle ended. `incomplete`: its reading proves the absence of
    nothing.
    """
    if partition.hold or partition.waiting:
        return CycleStatus.HELD
    if not is_complete:
        return CycleStatus.INCOMPLETE
    return CycleStatus.REPORTED if mode is Mode.REPORT else CycleStatus.APPLIED


def _reasons(connection: Connection, partition: PlanPartition, *, is_dry_run: bool) -> tuple[str, ...]:
    """Return why not everything was applied.

    A dry run is decided as mode `report` would; its reason says that it was a dry run.
    """
    if not is_dry_run or connection.policy.mode is Mode.REPORT:
        return partition.reasons
    return tuple(DRY_RUN if reason == guard.REPORT_MODE else reason for reason in partition.reasons)


def _checkpoint_to_save(prepared: PreparedCycle, status: CycleStatus) -> CheckpointDraft | None:
    """Return the checkpoint for the next increment.

    None if a removal was not confirmed: a full cycle has to ask again.
    """
    is_asked_again = status in (CycleStatus.APPLIED, CycleStatus.HELD) and prepared.partition.dropped
    if is_asked_again or not prepared.draft:
        return None
    again = Focus(rows=prepared.plan.again) | _focus_of(prepared.partition.followers)
    return prepared.draft.with_recheck(again | _undecided(prepared.plan.findings))


def _undecided(findings: Iterable[Finding]) -> Focus:
    """Return the users of a state that Graph did not tell: no delta says when it does.

    None of them if they are many: that is no passing fault of a few answers, and the
    next full cycle asks for all.
    """
    unknown = (finding.subject for finding in findings if finding.kind is DriftKind.STATE_UNKNOWN)
    users = {each.graph_id for each in unknown if each.type is SubjectType.USER and each.graph_id}
    return Focus(frozenset(users) if len(users) <= MAX_UNDECIDED else frozenset())


def _focus_of(followers: Iterable[Change]) -> Focus:
    """Return what changes are about: people, groups, and rows of neither."""
    concerned = [change.person or change.subject for change in followers]
    known = [(each.type, each.graph_id) for each in concerned if each.graph_id is not None]
    return Focus(
        users=frozenset(graph_id for type_, graph_id in known if type_ is SubjectType.USER),
        groups=frozenset(graph_id for type_, graph_id in known if type_ is SubjectType.GROUP),
        rows=frozenset(each.local_id for each in concerned if each.local_id and each.graph_id is None),
    )


def _with_applied(compared: ComparedState | None, applied: Applied) -> ComparedState | None:
    if compared is None:
        return None
    done = zip(applied.changes, applied.statuses, strict=True)
    took_effect = [change for change, status in done if status is OutcomeStatus.APPLIED]
    return replace(compared, applied=took_effect, versions=applied.versions)
