"""From when on a cycle proves that those with access are entitled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from store.records import Action, CycleStatus, DriftKind, GraphId, SubjectType
from worker.reconcile.plan import Change, Dropped, PlanPartition, Subject
from worker.reconcile.proof import EndedCycle, proof_after

BEFORE, BEGAN = datetime(2026, 11, 2, 9, tzinfo=UTC), datetime(2026, 11, 2, 9, 5, tzinfo=UTC)
LEAVER = Change(
    DriftKind.MISSED_DEPROVISION, Action.DISABLE, Subject(SubjectType.USER, GraphId("ann"), "1", "ann")
)
UNMATCHED = structs.replace(LEAVER, subject=Subject(SubjectType.USER, None, "2", "ben"))
RENAMED = structs.replace(LEAVER, action=Action.UPDATE)
NOTHING = PlanPartition((), None, (), ())


def ended(partition: PlanPartition = NOTHING, **more: Any) -> EndedCycle:
    """A full, complete cycle that applied its plan."""
    return replace(EndedCycle(CycleStatus.APPLIED, partition, 0, is_complete=True, is_full=True), **more)


def test_a_complete_cycle_that_left_no_one_in_proves_its_own_beginning() -> None:
    """Not its end: people left while it read."""
    applied = replace(NOTHING, apply=(LEAVER, RENAMED))
    assert proof_after(ended(applied), BEGAN, None) == BEGAN
    assert proof_after(ended(replace(NOTHING, waiting=(UNMATCHED,))), BEGAN, None) == BEGAN


def test_an_incomplete_cycle_proves_nothing_new() -> None:
    assert proof_after(ended(is_complete=False), BEGAN, BEFORE) == BEFORE


@pytest.mark.parametrize(
    "left",
    [
        ended(replace(NOTHING, waiting=(LEAVER,))),
        ended(replace(NOTHING, accepted=(Dropped(LEAVER, "kept by ada"),))),
        ended(replace(NOTHING, dropped=(Dropped(LEAVER, "not confirmed"),))),
        ended(replace(NOTHING, apply=(LEAVER,)), status=CycleStatus.REPORTED),
        ended(skipped=1),
    ],
)
def test_a_person_whose_access_should_have_ended_leaves_no_proof(left: EndedCycle) -> None:
    """Held, rejected, refuted by doubt, in mode `report`, or passed over."""
    assert proof_after(left, BEGAN, BEFORE) is None


def test_a_person_who_is_entitled_after_all_is_no_doubt() -> None:
    refuted = Dropped(LEAVER, "entitled", is_refuted=True)
    assert proof_after(ended(replace(NOTHING, dropped=(refuted,))), BEGAN, None) == BEGAN


def test_an_increment_carries_a_proof_on_and_begins_none() -> None:
    """It compares what changed since: who was held before is not among them."""
    increment = ended(is_full=False)
    assert proof_after(increment, BEGAN, BEFORE) == BEGAN
    assert proof_after(increment, BEGAN + timedelta(minutes=5), None) is None
