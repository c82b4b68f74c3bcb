"""Build the findings of the drift report from a plan and its outcome. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime

from msgspec import structs

from store.records import (
    DriftFinding,
    DriftKind,
    FindingState,
    JsonValue,
    OutcomeStatus,
)
from store.sync.guard_memory import decided_by
from worker.apply.apply_plan import Applied
from worker.apply.leaver_evidence import NOTHING_KNOWN, LeaverFacts, leaver_evidence
from worker.reconcile.guard import REPORT_MODE
from worker.reconcile.plan import UNREPORTED, Change, Finding, Plan, PlanPartition
from worker.reconcile.snapshot import Evidence, materialize

_REPAIRED = frozenset({OutcomeStatus.APPLIED, OutcomeStatus.UNCHANGED})


def findings(
    plan: Plan,
    partition: PlanPartition,
    applied: Applied,
    evidence: Mapping[str, Evidence],
    now: datetime,
    facts: LeaverFacts = NOTHING_KNOWN,
) -> Iterator[DriftFinding]:
    """Yield one finding for each drift, with its outcome and with Graph's answer on the
    user.

    Links repair none; what the re-reading refuted is no drift.
    """
    for change, state, why in _changes_with_states(partition, applied):
        if change.action not in UNREPORTED:
            yield _of_change(change, state, why, evidence, now, facts)
    for finding in plan.findings:
        yield _of_finding(finding, now)


def repaired(
    plan: Plan,
    partition: PlanPartition,
    applied: Applied,
    evidence: Mapping[str, Evidence],
    now: datetime,
    by: str,
    facts: LeaverFacts = NOTHING_KNOWN,
) -> list[DriftFinding]:
    """Return the findings that work asked for by a person repaired, with that person as
    evidence.
    """
    made = findings(plan, partition, applied, evidence, now, facts)
    return [
        structs.replace(finding, evidence={**finding.evidence, "by": by})
        for finding in made
        if finding.state is FindingState.REPAIRED
    ]


def _changes_with_states(
    partition: PlanPartition, applied: Applied
) -> Iterator[tuple[Change, FindingState, str]]:
    """Yield every change with its state and, if it was not applied, why."""
    for index, (change, status) in enumerate(zip(partition.apply, applied.statuses, strict=True)):
        state = FindingState.REPAIRED if status in _REPAIRED else FindingState.OPEN
        yield change, state, applied.details.get(index, "")
    for change in partition.hold.changes if partition.hold else ():
        yield change, FindingState.HELD, "waits for a person's decision"
    for change in partition.waiting:
        yield change, FindingState.HELD, "waits for a person's decision"
    for risk in partition.accepted:
        # No one accepted that this person goes without: the rejected change is another.
        yield risk.change, FindingState.OPEN if risk.is_follower else FindingState.ACCEPTED, risk.why
    for dropped in partition.dropped:
        # Re-read by itself the user is entitled: the report must not accuse that user.
        if not dropped.is_refuted:
            # The mode of the connection is no evidence about a person.
            yield dropped.change, FindingState.OPEN, "" if dropped.why == REPORT_MODE else dropped.why


def _of_change(
    change: Change,
    state: FindingState,
    why: str,
    evidence: Mapping[str, Evidence],
    now: datetime,
    facts: LeaverFacts,
) -> DriftFinding:
    kept: dict[str, JsonValue] = {"action": change.action}
    if change.note:
        kept["note"] = change.note
    if why:
        kept["why"] = why
    if state is FindingState.ACCEPTED:
        kept["by"] = decided_by(why)
    answer = evidence.get(change.absentee.key) if evidence and change.absentee else None
    if answer is not None:
        kept["graph"] = answer_to_json(answer)
    if change.kind is DriftKind.MISSED_DEPROVISION:
        ended = now if state is FindingState.REPAIRED else None
        kept |= leaver_evidence(change, answer, facts, now, ended)
    subject, member = change.subject, change.member
    return DriftFinding(
        kind=change.kind,
        reason=change.reason,
        subject_type=subject.type,
        # A membership is one group and one user: only both together identify the drift
        # over time.
        subject_id=f"{subject.key}:{member.key}" if member else subject.key,
        subject_label=f"{member.label} in {subject.label}" if member else subject.label,
        before=change.before,
        after=materialize(change.after),
        first_seen=now,
        state=state,
        evidence=kept,
    )


def _of_finding(finding: Finding, now: datetime) -> DriftFinding:
    return DriftFinding(
        kind=finding.kind,
        reason=finding.reason,
        subject_type=finding.subject.type,
        subject_id=finding.subject.key,
        subject_label=finding.subject.label,
        before={},
        after={},
        first_seen=now,
        state=FindingState.OPEN,
        evidence={"detail": finding.detail, "candidates": list(finding.candidates)},
    )


def answer_to_json(answer: Evidence) -> dict[str, JsonValue]:
    """Return Graph's answer on one absentee as it is kept and shown."""
    body: dict[str, JsonValue] = asdict(answer)
    body["at"] = answer.at.isoformat()
    body["soft_deleted_at"] = answer.soft_deleted_at.isoformat() if answer.soft_deleted_at else None
    body["unreadable_groups"] = sorted(answer.unreadable_groups)
    body["member_of"] = None if answer.member_of is None else sorted(answer.member_of)
    return body
