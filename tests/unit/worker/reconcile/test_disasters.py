"""Disasters that happened to others, as far as reading and planning go: nobody entitled loses access."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from store.records import REMOVALS, Action, User
from tests.builders.reconcile.snapshots import (
    ENFORCE,
    NOW,
    ROLES,
    answer,
    gone,
    group_row,
    holding,
    person,
    planned,
    reading,
    twin,
    whole,
)
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.guard import judge, partition
from worker.reconcile.plan import PlanPartition
from worker.reconcile.snapshot import Completeness, Evidence, GraphUser, ListRead, Snapshot
from worker.reconcile.state import History, State

COMPANY = [person(f"p{n}") for n in range(60)]
IDS = [user.id for user in COMPANY]
GOOD = History(last_good_counts={"users": 60, "groups": 0, "memberships": 0}, last_token_roles=ROLES)


def here(*also: User) -> State:
    return holding([*map(twin, COMPANY), *also])


def cycle(
    snapshot: Snapshot, state: State, evidence: Mapping[str, Evidence] | None = None, history: History = GOOD
) -> PlanPartition:
    """One cycle without its input and output; by default every absentee is confirmed to be gone."""
    made = planned(snapshot, state)
    verdict = judge(made, snapshot, state, history, ENFORCE, NOW, entitlement_of(snapshot, ENFORCE))
    return partition(made, verdict, gone(made) if evidence is None else evidence)


def removed(settled: PlanPartition) -> list[str]:
    return [c.subject.label for c in settled.apply if c.action in REMOVALS]


def listing(people: list[GraphUser], read: ListRead) -> Snapshot:
    proof = Completeness((read, ListRead("appRoleAssignedTo", 1, 60, True, 60)), ROLES)
    return reading(people, IDS, completeness=proof)


def test_1_a_page_that_answered_503_is_not_an_empty_page() -> None:
    """ssosync#278: one page answered 503, was read as empty, users were deleted."""
    settled = cycle(listing(COMPANY[:30], ListRead("users", 1, 30, False, 60, "503")), here())
    assert removed(settled) == []
    assert settled.hold is None


def test_2_people_missing_from_a_good_answer_are_asked_for_one_by_one() -> None:
    """firezone#9188: directory answered 200 with people missing; found alive, dropped from the plan."""
    snapshot = reading(COMPANY[:57], IDS, completeness=whole(57))
    settled = cycle(snapshot, here(), {str(i): answer(i, direct=True) for i in IDS[57:]})
    assert removed(settled) == []
    assert settled.hold is None
    assert len(settled.dropped) == 3


def test_2_above_the_ceilings_the_plan_waits_for_a_person() -> None:
    """The same with many people missing: 0 removals above the ceilings, plan held."""
    settled = cycle(reading(COMPANY[:40], IDS, completeness=whole(40)), here())
    assert removed(settled) == []
    assert settled.hold is not None
    assert len(settled.hold.changes) == 20


def test_3_whoever_is_past_a_limit_is_not_gone() -> None:
    """DefGuard: reader stopped at 10,000, everyone past it counted as gone."""
    settled = cycle(listing(COMPANY[:50], ListRead("users", 1, 50, True, 60)), here())
    assert removed(settled) == []
    assert "50 of 60 items" in settled.reasons[0]


def test_4_a_directory_that_answers_nothing_removes_nobody() -> None:
    """authentik#19295: a sync deleted all users; "would leave none" trips, DELETE is never erasure."""
    settled = cycle(reading(), here())
    assert removed(settled) == []
    assert settled.hold is not None
    assert {c.action for c in settled.hold.changes} == {Action.DISABLE}
    assert any("leave none" in reason for reason in settled.reasons)
    assert any("Nobody is entitled" in reason for reason in settled.reasons)


@pytest.mark.parametrize("size", [3, 10, 20])
def test_5_a_small_company_may_lose_people(size: int) -> None:
    """firezone#10892: a 25 % limit alone blocked legitimate small syncs."""
    people = COMPANY[:size]
    settled = cycle(reading(people[1:], IDS[1:size]), holding(map(twin, people)), history=History())
    assert removed(settled) == ["p0@corp.example"]


def test_12_the_whole_plan_is_judged_before_the_first_removal() -> None:
    """midPoint: judged object by object, the first N removals were already done when the limit tripped."""
    settled = cycle(reading(COMPANY[:40], IDS), here())
    assert removed(settled) == []


def test_14_removals_that_a_restart_dropped_are_found() -> None:
    """Entra restart: removals before a restart are lost for ever; found by the next full cycle."""
    sales = group_row("g1", name="Sales", entra="sales")
    state = holding(map(twin, COMPANY), [sales], {"g1": ["row-p0", "row-p1"]})
    snapshot = reading(COMPANY, IDS[:58], {"sales": ["p0"]})
    evidence = {str(i): answer(i) for i in IDS[58:]} | {"p1": answer("p1", direct=True, member_of=[])}
    settled = cycle(snapshot, state, evidence)
    assert sorted(removed(settled)) == ["Sales", "p58@corp.example", "p59@corp.example"]


def test_15_what_entra_skipped_as_not_effectively_entitled_is_found() -> None:
    """azure-docs#22948: removed from the group, log says skipped, nothing sent: `unassigned`."""
    settled = cycle(reading(COMPANY, IDS[:59]), here(), {"p59": answer("p59")})
    (change,) = settled.apply
    assert (change.kind, change.reason) == ("missed_deprovision", "unassigned")
