"""From when on a cycle proves that those with access are entitled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest

from store.records import Action, CycleStatus, DriftKind, GraphId, SubjectType
from worker.cycle.outcome import CycleOutcome
from worker.cycle.proof import proof_after
from worker.reconcile.plan import Change, Dropped, PlanPartition, Subject

BEFORE, BEGAN = datetime(2026, 11, 2, 9, tzinfo=UTC), datetime(2026, 11, 2, 9, 5, tzinfo=UTC)
LEAVER = Change(
    DriftKind.MISSED_DEPROVISION, Action.DISABLE, Subject(SubjectType.USER, GraphId("ann"), "1", "ann")
)
UNMATCHED = replace(LEAVER, subject=Subject(SubjectType.USER, None, "2", "ben"))
RENAMED = replace(LEAVER, action=Action.UPDATE)
NOTHING = PlanPartition((), None, (), ())


def outcome(partition: PlanPartition = NOTHING, **more: Any) -> CycleOutcome:
    """Only what the proof reads."""
    values = {"complete": True, "status": CycleStatus.APPLIED, "skipped": 0, "compared_ids": None}
    return Mock(spec=CycleOutcome, partition=partition, **{**values, **more})


def test_a_complete_cycle_that_left_no_one_in_proves_its_own_beginning() -> None:
    """Not its end: people left while it read."""
    applied = replace(NOTHING, apply=(LEAVER, RENAMED))
    assert proof_after(outcome(applied), BEGAN, None) == BEGAN
    assert proof_after(outcome(replace(NOTHING, waiting=(UNMATCHED,))), BEGAN, None) == BEGAN


def test_an_incomplete_cycle_proves_nothing_new() -> None:
    assert proof_after(outcome(complete=False), BEGAN, BEFORE) == BEFORE


@pytest.mark.parametrize(
    "left",
    [
        outcome(replace(NOTHING, waiting=(LEAVER,))),
        outcome(replace(NOTHING, accepted=(Dropped(LEAVER, "kept by ada"),))),
        outcome(replace(NOTHING, dropped=(Dropped(LEAVER, "not confirmed"),))),
        outcome(replace(NOTHING, apply=(LEAVER,)), status=CycleStatus.REPORTED),
        outcome(skipped=1),
    ],
)
def test_a_person_whose_access_should_have_ended_leaves_no_proof(left: CycleOutcome) -> None:
    """Held, rejected, refuted by doubt, in mode `report`, or passed over."""
    assert proof_after(left, BEGAN, BEFORE) is None


def test_a_person_who_is_entitled_after_all_is_no_doubt() -> None:
    refuted = Dropped(LEAVER, "entitled", is_refuted=True)
    assert proof_after(outcome(replace(NOTHING, dropped=(refuted,))), BEGAN, None) == BEGAN


def test_an_increment_carries_a_proof_on_and_begins_none() -> None:
    """It compares what changed since: who was held before is not among them."""
    increment = outcome(compared_ids=frozenset())
    assert proof_after(increment, BEGAN, BEFORE) == BEGAN
    assert proof_after(increment, BEGAN + timedelta(minutes=5), None) is None
