"""From a plan and what became of it to the findings of the drift report."""

from __future__ import annotations

from datetime import UTC, datetime

from store.records import (
    Action,
    ConnectionId,
    DriftKind,
    FindingState,
    GraphId,
    OutcomeStatus,
    Reason,
    SubjectType,
)
from worker.apply import findings as drift
from worker.apply.apply_plan import NOTHING_APPLIED, Applied
from worker.reconcile.plan import Change, Dropped, Finding, Plan, PlanPartition, Subject
from worker.reconcile.snapshot import Evidence

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ADA = Subject(SubjectType.USER, GraphId("g-ada"), "u-ada", "ada@example.com")
TEAM = Subject(SubjectType.GROUP, GraphId("g-team"), "t-team", "Team")

LINK = Change(DriftKind.ATTRIBUTE_MISMATCH, Action.LINK, ADA)
UPDATE = Change(DriftKind.ATTRIBUTE_MISMATCH, Action.UPDATE, ADA, after={"title": "Boss"})
ADD = Change(DriftKind.MEMBERSHIP_MISSING, Action.ADD_MEMBER, TEAM, member=ADA)
DISABLE = Change(DriftKind.MISSED_DEPROVISION, Action.DISABLE, ADA, Reason.DISABLED)
CONFLICT = Finding(DriftKind.MATCH_CONFLICT, ADA, "two rows have its userName", ("u-1", "u-2"))
GONE = Evidence(GraphId("g-ada"), True, False, None, None, None, NOW)


def plan(*changes: Change, findings: tuple[Finding, ...] = ()) -> Plan:
    return Plan(ConnectionId("c"), changes, findings)


def applied(*changes: Change, status: OutcomeStatus = OutcomeStatus.APPLIED, why: str = "") -> Applied:
    return Applied(changes, [status] * len(changes), dict.fromkeys(range(len(changes)), why) if why else {})


def test_a_link_repairs_no_drift_and_is_not_reported() -> None:
    """A LINK says ATTRIBUTE_MISMATCH and is not counted: the report is about differences people care for."""
    whole = plan(LINK, UPDATE)
    settled = PlanPartition((LINK, UPDATE), None, (), ())
    assert len(list(drift.findings(whole, settled, applied(LINK, UPDATE), {}, NOW))) == 1


def test_what_was_applied_is_repaired_with_before_and_after() -> None:
    """A finding holds what was and what should be."""
    [found] = drift.findings(plan(UPDATE), PlanPartition((UPDATE,), None, (), ()), applied(UPDATE), {}, NOW)
    assert (found.state, found.after, found.first_seen) == (FindingState.REPAIRED, {"title": "Boss"}, NOW)


def test_what_was_refused_stays_open_with_the_reason() -> None:
    """Looked at again in the next cycle, and shown until then."""
    refused = applied(UPDATE, status=OutcomeStatus.FAILED, why="the userName is taken")
    [found] = drift.findings(plan(UPDATE), PlanPartition((UPDATE,), None, (), ()), refused, {}, NOW)
    assert (found.state, found.evidence["why"]) == (FindingState.OPEN, "the userName is taken")


def test_what_waits_is_held() -> None:
    """Held: stored whole, waiting for a person."""
    settled = PlanPartition((), plan(DISABLE), (), ("too many",))
    [found] = drift.findings(plan(DISABLE), settled, NOTHING_APPLIED, {}, NOW)
    assert (found.kind, found.reason, found.state) == (
        DriftKind.MISSED_DEPROVISION,
        Reason.DISABLED,
        FindingState.HELD,
    )


def test_what_was_dropped_is_open_and_says_why() -> None:
    """Not applied, not held: the cycle tells the reason."""
    settled = PlanPartition((), None, (Dropped(DISABLE, "not confirmed"),), ())
    [found] = drift.findings(plan(DISABLE), settled, NOTHING_APPLIED, {}, NOW)
    assert (found.state, found.evidence["why"]) == (FindingState.OPEN, "not confirmed")


def test_what_the_re_reading_refuted_is_no_drift() -> None:
    """Disaster 2: absentees found alive are dropped, and the report does not accuse them."""
    settled = PlanPartition((), None, (Dropped(DISABLE, "entitled after all", is_refuted=True),), ())
    assert list(drift.findings(plan(DISABLE), settled, NOTHING_APPLIED, {}, NOW)) == []


def test_graph_s_own_answer_is_kept_as_evidence() -> None:
    """Each absentee was re-read by itself; the answer is kept."""
    settled = PlanPartition((DISABLE,), None, (), ())
    [found] = drift.findings(plan(DISABLE), settled, applied(DISABLE), {"g-ada": GONE}, NOW)
    assert found.evidence["graph"]["account_enabled"] is False  # type: ignore[index, call-overload]


def test_a_membership_is_one_group_and_one_person() -> None:
    """The identity over time: the same person missing in another group is another drift."""
    [found] = drift.findings(plan(ADD), PlanPartition((ADD,), None, (), ()), applied(ADD), {}, NOW)
    assert (found.subject_id, found.subject_label) == ("g-team:g-ada", "ada@example.com in Team")


def test_what_no_change_repairs_is_reported_too() -> None:
    """`match_conflict`: reported, never guessed."""
    whole = plan(findings=(CONFLICT,))
    settled = PlanPartition((), None, (), ())
    [found] = drift.findings(whole, settled, NOTHING_APPLIED, {}, NOW)
    assert (found.state, found.evidence["candidates"]) == (FindingState.OPEN, ["u-1", "u-2"])
