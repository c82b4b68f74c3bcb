"""An update of most people at once waits for a person; additions, removals and single updates go on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from store.records import Action, Mode, Policy
from tests.builders.reconcile.snapshots import (
    ENFORCE,
    NOW,
    gone,
    holding,
    partial,
    person,
    planned,
    reading,
    twin,
)
from tests.builders.reconcile.snapshots import row as account
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.guard import judge, partition
from worker.reconcile.plan import Change, Decision, Plan, PlanPartition, Verdict
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import History, State


def company(staying: int, renamed: int) -> tuple[Snapshot, State]:
    """So many people, of whom some have another displayName in Entra than here; and one leaver, one joiner."""
    people = [person(f"p{n:02}") for n in range(staying)]
    rows = [twin(each) for each in people]
    for n in range(renamed):
        rows[n] = replace(rows[n], document={**rows[n].document, "displayName": "Somebody Else"})
    joiner = person("joiner")
    leaver = account("leaver", entra="gone")
    here = reading([*people, joiner], [*(p.id for p in people), joiner.id])
    return here, holding([*rows, leaver])


def judged(
    snapshot: Snapshot, state: State, history: History | None = None, policy: Policy = ENFORCE
) -> tuple[Plan, Verdict, PlanPartition]:
    made = planned(snapshot, state, policy)
    verdict = judge(
        made, snapshot, state, history or History(), policy, NOW, entitlement_of(snapshot, policy)
    )
    return made, verdict, partition(made, verdict, gone(made))


def updates(made: Plan) -> list[Change]:
    return [change for change in made.changes if change.action is Action.UPDATE]


@pytest.mark.parametrize(
    ("staying", "renamed", "waits"),
    [
        pytest.param(5, 5, False, id="at-the-floor-even-all"),
        pytest.param(6, 6, True, id="over-the-floor-all"),
        pytest.param(19, 10, False, id="half-of-them"),
        pytest.param(19, 11, True, id="more-than-half"),
    ],
)
def test_another_value_for_more_than_half_of_the_people_waits(
    staying: int, renamed: int, waits: bool
) -> None:
    """identity.md: "no mass update without a person's word, as no mass removal"; the leaver counts as one of them."""
    made, verdict, parts = judged(*company(staying, renamed))
    assert len(updates(made)) == renamed
    assert verdict.decision is (Decision.HOLD_REMOVALS if waits else Decision.APPLY)
    assert (parts.hold.changes if parts.hold else ()) == (tuple(updates(made)) if waits else ())
    done = {change.action for change in parts.apply}
    assert {Action.CREATE, Action.DISABLE} <= done
    assert (Action.UPDATE in done) != waits
    assert any("displayName: more than half at once" in reason for reason in parts.reasons) == waits


def test_filling_what_was_empty_is_no_mass_update() -> None:
    """A line added to the mapping gives everybody a value that nobody loses one for: an addition."""
    people = [person(f"p{n}", department="Sales") for n in range(10)]
    _, verdict, parts = judged(reading(people, [p.id for p in people]), holding(map(twin, people)))
    assert (verdict.decision, parts.hold) == (Decision.APPLY, None)
    assert len(parts.apply) == 10


def test_updates_of_which_a_person_was_asked_are_not_asked_again() -> None:
    """Issue 9: a row that waits goes on waiting, a rejected one stays decided until its facts change."""
    snapshot, state = company(10, 8)
    keys = [change.removal_key for change in updates(planned(snapshot, state))]
    risks = dict.fromkeys(keys[3:], "Accepted risk: rejected by kim on 2026-11-01.")
    _, verdict, parts = judged(snapshot, state, History(waiting=frozenset(keys[:3]), accepted=risks))
    assert verdict.decision is Decision.APPLY
    assert (len(parts.waiting), len(parts.accepted), parts.hold) == (3, 5, None)
    assert Action.UPDATE not in {change.action for change in parts.apply}


def test_one_more_of_them_waits_too() -> None:
    """Whoever gets the same attribute later is one of the mass, not the first of a new count."""
    snapshot, state = company(10, 8)
    keys = [change.removal_key for change in updates(planned(snapshot, state))]
    _, _, parts = judged(snapshot, state, History(waiting=frozenset(keys[1:])))
    assert parts.hold is not None
    assert [change.removal_key for change in parts.hold.changes] == keys[:1]


def test_an_incomplete_reading_writes_no_mass_update_either() -> None:
    """Otherwise a list that broke off would let it through."""
    snapshot, state = company(10, 8)
    _, verdict, parts = judged(replace(snapshot, completeness=partial()), state)
    assert verdict.decision is Decision.ADD_ONLY
    assert Action.UPDATE not in {change.action for change in parts.apply}
    assert Action.CREATE in {change.action for change in parts.apply}


def test_mode_report_says_what_would_wait() -> None:
    """The reports are what a person judges `enforce` by."""
    _, verdict, parts = judged(*company(10, 8), policy=Policy(mode=Mode.REPORT, mapping_confirmed=True))
    assert any("more than half at once" in reason for reason in verdict.reasons)
    assert parts.apply == ()
