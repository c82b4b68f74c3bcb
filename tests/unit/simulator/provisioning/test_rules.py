"""Scoping filters, retry times, quarantine thresholds, armed gaps: the rules without a wire."""

from datetime import UTC, datetime, timedelta

import pytest

from simulator.provisioning.faults import Armed, Faults, Gap
from simulator.provisioning.job import Job, JobSettings
from simulator.provisioning.retry import QuarantineReason, Thresholds, next_retry
from simulator.provisioning.scope import Clause, passes

START = datetime(2026, 5, 11, 8, 0, tzinfo=UTC)
PERSON = {"department": "Harbour", "accountEnabled": True, "employeeId": "12", "city": None}


def active_job() -> Job:
    job = Job(JobSettings())
    job.state = "Active"
    return job


@pytest.mark.parametrize(
    ("attribute", "operator", "value", "expected"),
    [
        ("department", "EQUALS", "Harbour", True),
        ("department", "EQUALS", "harbour", False),
        ("department", "NOT EQUALS", "Sales", True),
        ("accountEnabled", "IS TRUE", "", True),
        ("accountEnabled", "IS FALSE", "", False),
        ("city", "IS NULL", "", True),
        ("department", "IS NOT NULL", "", True),
        ("department", "REGEX MATCH", "^Har", True),
        ("department", "NOT REGEX MATCH", "^Har", False),
        ("employeeId", "Greater_Than", "11", True),
        ("employeeId", "Greater_Than_OR_EQUALS", "12", True),
        ("employeeId", "Greater_Than", "twelve", False),
        ("department", "Includes", "arb", True),
        ("department", "ENDS_WITH", "bour", True),
        ("employeeId", "&", "4", True),
        ("employeeId", "!&", "3", True),
    ],
)
def test_each_operator_of_a_scoping_filter(attribute: str, operator: str, value: str, expected: bool) -> None:
    """SCOPE: the operators of a clause."""
    assert passes(((Clause(attribute, operator, value),),), PERSON) is expected


@pytest.mark.parametrize("operator", ["EQUALS", "NOT EQUALS", "IS NOT NULL", "NOT REGEX MATCH", "!&"])
def test_a_null_attribute_makes_a_clause_false(operator: str) -> None:
    """SCOPE: a null attribute makes a clause false, even a negated one."""
    assert not passes(((Clause("city", operator, "Bergen"),),), PERSON)


def test_clauses_are_anded_and_filters_are_ored() -> None:
    """SCOPE: clauses are ANDed within a filter, filters are ORed; none lets everybody through."""
    right, wrong = Clause("department", "EQUALS", "Harbour"), Clause("department", "EQUALS", "Sales")
    assert not passes(((right, wrong),), PERSON)
    assert passes(((right, wrong), (right,)), PERSON)
    assert passes((), PERSON)


def test_a_clause_that_entra_would_not_take_is_refused() -> None:
    """SCOPE: members, manager, multi-valued attributes cannot be used."""
    with pytest.raises(ValueError, match="unknown operator"):
        Clause("department", "LIKE", "x")
    with pytest.raises(ValueError, match="cannot be used"):
        Clause("manager", "EQUALS", "x")


@pytest.mark.parametrize(
    ("waited_h", "due_h"), [(0.7, 6), (6, 12), (12, 24), (24, 48), (49, 72), (27 * 24, 28 * 24)]
)
def test_a_failure_is_tried_ever_more_seldom(waited_h: float, due_h: float) -> None:
    """QUAR: 6 h after the failure, 12 h and 24 h after the first failure, then every 24 h."""
    assert next_retry(START, START + timedelta(hours=waited_h)) == START + timedelta(hours=due_h)


def test_a_failure_is_given_up_after_28_days() -> None:
    """QUAR: up to 28 days, then the escrow entry is dropped."""
    assert next_retry(START, START + timedelta(days=28)) is None
    job = Job(JobSettings())
    job.note_failure("u", None, "Conflict", "taken", START)
    job.note_failure("u", None, "Conflict", "taken", START + timedelta(days=28))
    assert not job.escrows


def test_the_first_retry_comes_with_the_next_cycle() -> None:
    """HOW: per-object errors are retried next cycle, then less and less often."""
    job = Job(JobSettings())
    job.note_failure("u", None, "Conflict", "taken", START)
    assert [entry.source_id for entry in job.due(START + timedelta(minutes=40))] == ["u"]
    job.note_failure("u", None, "Conflict", "taken", START + timedelta(minutes=40))
    assert not job.due(START + timedelta(hours=5))
    assert job.due(START + timedelta(hours=6))


@pytest.mark.parametrize(
    ("failures", "references", "events", "reason"),
    [
        (4_999, 0, 5_000, None),
        (5_000, 0, 12_000, QuarantineReason.PROPORTION),
        (5_000, 0, 13_000, None),
        (40_001, 0, 1_000_000, QuarantineReason.BASE),
        (10_000, 50_001, 1_000_000, QuarantineReason.TOTAL),
        (10, 50_000, 1_000, None),
        (4_000, 56_001, 1_000_000, QuarantineReason.TOTAL),
    ],
)
def test_quarantine_thresholds(
    failures: int, references: int, events: int, reason: QuarantineReason | None
) -> None:
    """QUAR: below 5,000 no evaluation; over 40 % of events, 40,000 failures, or 60,000 with references."""
    assert Thresholds().exceeded(failures, references, events) is reason


def test_a_quarantined_job_slows_down_to_daily_and_is_disabled_after_four_weeks() -> None:
    """QUAR: frequency falls gradually to once a day; after more than 4 weeks the job is disabled."""
    job = active_job()
    now, gaps = START, []
    for _ in range(40):
        job.enter_quarantine(QuarantineReason.EXCEPTION, "Unauthorized", "401", now)
        if job.state == "Disabled":
            break
        gaps.append(job.next_cycle_at(now) - now)
        now = job.next_cycle_at(now)
    assert gaps[:3] == [timedelta(hours=6), timedelta(hours=6), timedelta(hours=12)]
    assert set(gaps[3:29]) == {timedelta(days=1)}
    assert now - START >= timedelta(days=28)
    assert job.state == "Disabled"


def test_an_armed_gap_strikes_only_its_principal_and_only_so_often() -> None:
    """A gap is armed for one user, or for all; with `times` it wears out."""
    faults = Faults()
    faults.arm(Armed(Gap.DROP_UNASSIGN, "anna", times=1))
    assert not faults.fires(Gap.DROP_UNASSIGN, "ben")
    assert not faults.fires(Gap.DROP_CHANGE, "anna")
    assert faults.fires(Gap.DROP_UNASSIGN, "anna")
    assert not faults.fires(Gap.DROP_UNASSIGN, "anna")


def test_a_probability_is_thrown_with_seeded_dice() -> None:
    """The same seed gives the same leavers who slip through."""
    throws = []
    for _ in range(2):
        faults = Faults(seed=7)
        faults.arm(Armed(Gap.DROP_CHANGE, probability=0.5))
        throws.append([faults.fires(Gap.DROP_CHANGE, str(n)) for n in range(50)])
    assert throws[0] == throws[1]
    assert 10 < sum(throws[0]) < 40


def test_disarming_one_gap_leaves_the_others() -> None:
    faults = Faults()
    faults.arm(Armed(Gap.FROZEN_JOB))
    faults.arm(Armed(Gap.SECRET_EXPIRED))
    faults.disarm(Gap.FROZEN_JOB)
    assert faults.find(Gap.FROZEN_JOB) is None
    assert faults.find(Gap.SECRET_EXPIRED) is not None
    faults.disarm()
    assert faults.find(Gap.SECRET_EXPIRED) is None
