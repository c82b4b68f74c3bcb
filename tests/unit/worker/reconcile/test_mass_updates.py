"""An update of most people at once waits for a person; additions, removals and single updates go on."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from msgspec import structs

from store.records import Action, FindingState, Mode, Policy
from tests.builders.reconcile.snapshots import (
    ENFORCE,
    NOW,
    gone,
    group_row,
    holding,
    partial,
    person,
    planned,
    reading,
    twin,
)
from tests.builders.reconcile.snapshots import row as account
from worker.apply.apply_plan import Applied
from worker.apply.findings import findings
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
        rows[n] = structs.replace(rows[n], document={**rows[n].document, "displayName": "Somebody Else"})
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


def test_a_newcomer_whose_name_a_rejected_change_keeps_does_not_wait_for_a_decision() -> None:
    """A person has decided: no plan waits, so the cycle is not held, and the newcomer is told as open."""
    old = account("r1", name="ana@corp.example", external_id="old", entra="gone", active=False)
    newcomer = person("new", userPrincipalName="ana@corp.example")
    snapshot, state = reading([newcomer], ["new"]), holding([old])
    [release, create] = planned(snapshot, state).changes
    assert (release.action, create.action) == (Action.RELEASE_NAMES, Action.CREATE)
    rejected = {release.removal_key: "Accepted risk: rejected by kim on 2026-11-01."}
    made, _, parts = judged(snapshot, state, History(accepted=rejected))
    assert (parts.apply, parts.waiting, parts.hold) == ((), (), None)
    assert [(each.change.action, each.is_follower) for each in parts.accepted] == [
        (Action.RELEASE_NAMES, False),
        (Action.CREATE, True),
    ]
    told = findings(made, parts, Applied((), (), {}), {}, NOW)
    assert [each.state for each in told] == [FindingState.ACCEPTED, FindingState.OPEN]


@pytest.mark.parametrize("first", ["ana", "bob"])
def test_who_is_to_have_a_name_that_a_rejected_update_keeps_is_told_and_not_written(first: str) -> None:
    """Two people swapped their names, and the update of one was rejected: the other's would be refused by the store."""
    ana = person("ana", userPrincipalName="bob@corp.example")
    bob = person("bob", userPrincipalName="ana@corp.example")
    rows = [twin(person("ana")), twin(person("bob"))]
    snapshot, state = reading([ana, bob], ["ana", "bob"]), holding(rows)
    swapped = {str(each.subject.graph_id): each for each in updates(planned(snapshot, state))}
    rejected = {swapped[first].removal_key: "Accepted risk: rejected by kim on 2026-11-01."}
    _, _, parts = judged(snapshot, state, History(accepted=rejected))
    assert (parts.apply, parts.waiting, parts.hold) == ((), (), None)
    assert {each.change.subject.graph_id: each.is_follower for each in parts.accepted} == {
        first: False,
        "bob" if first == "ana" else "ana": True,
    }


@pytest.mark.parametrize("order", list(itertools.permutations(["ana", "bob", "new"])))
def test_a_chain_of_names_waits_whole_behind_a_release_that_is_held(
    order: tuple[str, ...],
) -> None:
    """The third would take the name that the second keeps: the store would refuse it in every cycle."""
    wanted = {"ana": "cid", "bob": "ana", "new": "bob"}
    people = [person(who, userPrincipalName=f"{wanted[who]}@corp.example") for who in order]
    old = account("r9", name="cid@corp.example", external_id="cid", entra="gone")
    snapshot, state = (
        reading(people, list(wanted)),
        holding([old, twin(person("ana")), twin(person("bob"))]),
    )
    made = planned(snapshot, state)
    release = next(each for each in made.changes if each.action is Action.RELEASE_NAMES)
    _, _, parts = judged(snapshot, state, History(waiting=frozenset({release.removal_key})))
    assert [change for change in parts.apply if "userName" in change.after] == []
    assert {change.subject.graph_id for change in parts.followers} == set(wanted)


@pytest.mark.parametrize("decision", ["waits", "rejected"])
def test_a_group_that_is_to_have_the_name_of_one_that_stays_follows_it(decision: str) -> None:
    """Two groups of Entra may have one name; here the second would be refused in every cycle (seed 54168)."""
    snapshot = reading(
        [person("ana")], ["ana"], {"g2": [], "g3": ["ana"]}, names={"g2": "Finance", "g3": "Team 2"}
    )
    state = holding(
        [twin(person("ana"))],
        [group_row("r1", name="Finance", entra="g1"), group_row("r2", name="Team 2", entra="g2")],
    )
    delete = next(each for each in planned(snapshot, state).changes if each.action is Action.DELETE)
    history = (
        History(waiting=frozenset({delete.removal_key}))
        if decision == "waits"
        else History(accepted={delete.removal_key: "Accepted risk: rejected by kim on 2026-11-01."})
    )
    _, _, parts = judged(snapshot, state, history)
    assert (parts.apply, parts.hold, parts.dropped) == ((), None, ())
    assert {change.subject.graph_id for change in parts.followers} == {"g2", "g3"}


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
