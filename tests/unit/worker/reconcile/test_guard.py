"""The guard: what may be applied, what must wait, what may only be added; both sides of every threshold."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from store.records import REMOVALS, Action, Ceilings, CycleKind, Mode, Policy, ScopingClause, SubjectType
from tests.builders.reconcile.snapshots import (
    ENFORCE,
    NOW,
    ROLES,
    group_row,
    holding,
    partial,
    person,
    planned,
    reading,
    row,
    twin,
)
from worker.reconcile.entitlement import entitlement_of, scope_key
from worker.reconcile.guard import STALE_AFTER, deciding_total, exceeded_ceilings, judge
from worker.reconcile.plan import ALL_REMOVALS, Decision, Plan, Verdict
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import History, State, Totals

OPEN = Ceilings(floor=0, percent=100, count=10_000)


def company(staying: int, leaving: int) -> tuple[Snapshot, State]:
    """So many people who are entitled and here, and so many who are here and purged."""
    people = [person(f"p{n}") for n in range(staying)]
    leavers = [row(f"l{n}", entra=f"gone{n}") for n in range(leaving)]
    return reading(people, [p.id for p in people]), holding([*map(twin, people), *leavers])


def judged(
    snapshot: Snapshot, state: State, history: History | None = None, policy: Policy = ENFORCE
) -> Verdict:
    made = planned(snapshot, state, policy)
    return judge(made, snapshot, state, history or History(), policy, NOW, entitlement_of(snapshot, policy))


def over(
    made: Plan, state: State, ceilings: Ceilings = OPEN, history: History | None = None
) -> tuple[str, ...]:
    removals = [change for change in made.changes if change.action in REMOVALS]
    exceeded = exceeded_ceilings(removals, state, history or History(), ceilings)
    return tuple(sentence for sentences in exceeded.values() for sentence in sentences)


# --- Decisions


def test_a_small_sound_plan_is_applied() -> None:
    """A legitimate small sync is not blocked by a percentage alone (firezone#10892)."""
    assert judged(*company(10, 5)) == Verdict(Decision.APPLY, ())


def test_an_incomplete_reading_adds_only_and_says_why() -> None:
    """Rule 1: otherwise the cycle adds and never removes."""
    snapshot, state = company(10, 1)
    verdict = judged(replace(snapshot, completeness=partial()), state)
    assert verdict == Verdict(Decision.ADD_ONLY, ("The list users broke off at 3 items (503).",))


def test_an_incomplete_reading_that_is_also_suspicious_adds_only() -> None:
    """What was not read whole need not wait for a person: the next cycle reads again."""
    snapshot, state = company(10, 9)
    assert judged(replace(snapshot, completeness=partial()), state).decision is Decision.ADD_ONLY


def test_mode_report_applies_nothing_and_still_says_what_is_off() -> None:
    """Mode `report` (shadow) plans and reports and applies nothing."""
    verdict = judged(*company(10, 9), policy=Policy(mode=Mode.REPORT))
    assert verdict.decision is Decision.REPORT_ONLY
    assert len(verdict.reasons) == 2


@pytest.mark.parametrize(
    ("age", "decision"),
    [(STALE_AFTER, Decision.APPLY), (STALE_AFTER + timedelta(seconds=1), Decision.ADD_ONLY)],
)
def test_a_stale_reading_adds_only(age: timedelta, decision: Decision) -> None:
    """A worker that was stopped and woke up later must not act on what it read before."""
    snapshot, state = company(10, 0)
    verdict = judged(replace(snapshot, taken_at=NOW - age), state)
    assert verdict.decision is decision
    assert all("6.0 h old; after 6 h" in reason for reason in verdict.reasons)


# --- Ceilings


@pytest.mark.parametrize(
    ("staying", "leaving", "ceilings", "says"),
    [
        pytest.param(0, 5, Ceilings(5, 100, 10_000), None, id="at-the-floor-even-all"),
        pytest.param(0, 6, Ceilings(5, 100, 10_000), "6 of 6 .* would leave none", id="over-the-floor-all"),
        pytest.param(1, 6, Ceilings(5, 100, 10_000), None, id="over-the-floor-not-all"),
        pytest.param(90, 10, Ceilings(0, 10, 10_000), None, id="at-the-percentage"),
        pytest.param(
            89,
            10,
            Ceilings(0, 10, 10_000),
            r"10 of 99 active users would be disabled: 10\.1 % .* 10 %",
            id="over",
        ),
        pytest.param(1, 100, Ceilings(0, 100, 100), None, id="at-the-count"),
        pytest.param(1, 101, Ceilings(0, 100, 100), "101 of 102 .* ceiling is 100", id="over-the-count"),
    ],
)
def test_each_ceiling_from_both_sides(
    staying: int, leaving: int, ceilings: Ceilings, says: str | None
) -> None:
    """Per kind of removal a floor, a percentage, a count, "would leave none"."""
    snapshot, state = company(staying, leaving)
    sentences = over(planned(snapshot, state), state, ceilings)
    assert len(sentences) == (says is not None)
    assert says is None or re.search(says, sentences[0])


def test_what_is_not_here_does_not_count_towards_the_whole() -> None:
    """Inactive and deleted rows make the percentage no smaller."""
    snapshot, state = company(5, 5)
    padding = [row(f"i{n}", active=False) for n in range(50)] + [
        row(f"d{n}", deleted=True) for n in range(50)
    ]
    padded = holding([*state.users.values(), *padding])
    assert over(planned(snapshot, padded), padded, Ceilings(0, 49, 100)) != ()


def test_every_kind_of_removal_has_its_own_ceiling() -> None:
    """Separate limits for disable, membership removal, group removal."""
    people = [person(f"p{n}") for n in range(3)]
    groups = [group_row(f"g{n}", entra=f"e{n}") for n in range(3)]
    members = {"g0": [f"row-p{n}" for n in range(3)]}
    snapshot = reading(people, [p.id for p in people], {"e0": []}, names={"e0": "G0"})
    state = holding(map(twin, people), groups, members)
    sentences = over(planned(snapshot, state), state, Ceilings(0, 50, 100))
    assert sentences == (
        "2 of 3 groups would be deleted: 66.7 % is above the ceiling of 50 %.",
        "3 of 3 memberships would be removed: that would leave none.",
    )


def test_deleted_users_have_a_ceiling_too() -> None:
    """Plans disable; a plan that deleted would be held to the same limits."""
    snapshot, state = company(0, 2)
    made = planned(snapshot, state)
    made = replace(made, changes=tuple(structs.replace(c, action=Action.DELETE) for c in made.changes))
    assert over(made, state) == ("2 of 2 active users would be deleted: that would leave none.",)


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        pytest.param(9, None, id="within-the-day"),
        pytest.param(
            10,
            "1 of 100 active users would be disabled, and 10 were disabled or deleted in the last 24 h, "
            "together 11 of 110: the ceiling is 10.",
            id="over-the-day",
        ),
    ],
)
def test_many_small_cycles_cannot_leak_past_the_ceiling(gone: int, says: str | None) -> None:
    """Judged over a rolling 24 h window so that many small cycles cannot leak past."""
    snapshot, state = company(99, 1)
    history = History(removals_last_24h={Action.DISABLE: gone})
    assert over(planned(snapshot, state), state, Ceilings(0, 100, 10), history) == (
        () if says is None else (says,)
    )


@pytest.mark.parametrize(("number", "today", "is_held"), [(5, 0, False), (6, 0, True), (5, 1, True)])
def test_changes_of_holder_have_a_ceiling_of_their_own(number: int, today: int, is_held: bool) -> None:
    """W3: they count like removals, within the plan and over the day; what removals there were does not matter."""
    people = [
        person(f"p{n}", userPrincipalName=f"o{n}@corp.example", mailNickname=f"o{n}") for n in range(number)
    ]
    rows = [twin(person(f"o{n}")) for n in range(number)]
    state = replace(holding(rows), last_read_at=NOW - timedelta(days=60))
    history = History(removals_last_24h={Action.CHANGE_HOLDER: today, Action.DISABLE: 5})
    verdict = judged(reading(people, [p.id for p in people]), state, history)
    assert verdict.decision is (Decision.HOLD_REMOVALS if is_held else Decision.APPLY)
    if is_held:
        assert "given to other people" in verdict.reasons[0]
        assert verdict.over_ceiling == {(Action.CHANGE_HOLDER, SubjectType.USER)}


def test_a_full_day_does_not_matter_to_a_plan_that_removes_nothing() -> None:
    """Nothing to hold, nothing to say."""
    history = History(removals_last_24h={Action.DISABLE: 1000, Action.DELETE: 5})
    snapshot, state = company(10, 0)
    assert over(planned(snapshot, state), state, OPEN, history) == ()


def test_groups_and_memberships_of_the_day_count_by_themselves() -> None:
    """Per kind, also over the day."""
    history = History(removals_last_24h={Action.DELETE: 9, Action.REMOVE_MEMBER: 1000})
    state = holding(groups=[group_row(f"g{n}", entra=f"e{n}") for n in range(2)])
    made = planned(reading(groups={"e0": []}, names={"e0": "G0"}), state)
    assert over(made, state, Ceilings(0, 89, 100), history) == (
        "1 of 2 groups would be deleted, and 9 were deleted in the last 24 h, "
        "together 10 of 11: 90.9 % is above the ceiling of 89 %.",
    )


def test_defaults_are_on_for_a_new_connection() -> None:
    """Defaults are ON for a new connection: floor 5, 10 %, 100."""
    verdict = judged(*company(50, 6))
    assert verdict.decision is Decision.HOLD_REMOVALS
    assert verdict.reasons == (
        "6 of 56 active users would be disabled: 10.7 % is above the ceiling of 10 %.",
    )


# --- Suspicion


def test_nobody_entitled_is_suspicious_whatever_the_floor() -> None:
    """Zero results: removals are held whatever the percentage."""
    verdict = judged(*company(0, 1))
    assert (verdict.decision, verdict.reasons) == (
        Decision.HOLD_REMOVALS,
        ("Nobody is entitled in this reading.",),
    )
    assert verdict.doubtful == ALL_REMOVALS


def test_nobody_entitled_and_nothing_to_remove_is_a_connection_not_yet_in_use() -> None:
    """An empty application and an empty store agree."""
    assert judged(reading(), holding()) == Verdict(Decision.APPLY, ())


@pytest.mark.parametrize(
    ("last", "reasons"),
    [
        pytest.param({"users": 20}, (), id="half"),
        pytest.param(
            {"users": 21}, ("10 users were read, fewer than half of the last good 21.",), id="under-half"
        ),
        pytest.param(
            {"groups": 6}, ("0 groups were read, fewer than half of the last good 6.",), id="no-group"
        ),
        pytest.param({"memberships": 0}, (), id="none-before"),
        pytest.param({"memberships": 5}, (), id="up-to-the-floor"),
    ],
)
def test_fewer_than_half_of_the_last_good_count_is_suspicious(
    last: dict[str, int], reasons: tuple[str, ...]
) -> None:
    """Fewer than half of the last good count: removals are held."""
    assert judged(*company(10, 0), History(last_good_counts=last)).reasons == reasons


def test_changed_permissions_are_suspicious_and_named() -> None:
    """Token roles are the same as last time."""
    snapshot, state = company(10, 1)
    assert judged(snapshot, state, History(last_token_roles=ROLES)).decision is Decision.APPLY
    verdict = judged(snapshot, state, History(last_token_roles=ROLES | {"Group.Read.All"}))
    assert verdict.decision is Decision.HOLD_REMOVALS
    assert "Group.Read.All" in verdict.reasons[0]


def test_a_changed_definition_is_suspicious() -> None:
    """Changed scope definition: removals held whatever the percentage."""
    snapshot, state = company(10, 1)
    same = History(last_scope_key=scope_key(snapshot, ENFORCE))
    assert judged(snapshot, state, same).decision is Decision.APPLY
    narrowed = replace(ENFORCE, scoping_filters=((ScopingClause("displayName", "NOT EQUALS", "P0"),),))
    verdict = judged(snapshot, state, same, narrowed)
    assert verdict.decision is Decision.HOLD_REMOVALS
    assert "defined anew" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("changed", "last", "decision"),
    [
        pytest.param(-1, 0, Decision.APPLY, id="before-the-last-cycle"),
        pytest.param(0, 0, Decision.APPLY, id="at-the-last-cycle"),
        pytest.param(1, 0, Decision.HOLD_REMOVALS, id="since-the-last-cycle"),
        pytest.param(1, None, Decision.APPLY, id="first-contact"),
        pytest.param(None, 0, Decision.APPLY, id="never"),
    ],
)
def test_the_first_cycle_after_new_credentials_is_suspicious(
    changed: int | None, last: int | None, decision: Decision
) -> None:
    """First cycle after credentials changed; the first ever is left to the ceilings."""
    day = timedelta(days=1)
    history = History(
        credential_changed_at=None if changed is None else NOW + changed * day,
        last_complete_at=None if last is None else NOW + last * day,
    )
    assert judged(*company(10, 1), history).decision is decision


def test_one_subjects_reading_is_not_measured_against_everybody() -> None:
    """On demand: one person is read, and that is no collapse of the directory."""
    snapshot, state = company(10, 1)
    alone = replace(snapshot, kind=CycleKind.ON_DEMAND, users={}, assignments=())
    history = History(last_good_counts={"users": 500})
    made = planned(alone, state).subset(())
    assert judge(made, alone, state, history, ENFORCE, NOW, entitlement_of(alone, ENFORCE)) == Verdict(
        Decision.APPLY, ()
    )


# --- Per person, never a wall (issue 9, Holding)


def _keys(made: Plan) -> list[str]:
    return [change.removal_key for change in made.changes if change.action in REMOVALS]


def test_rows_that_wait_already_do_not_hold_a_later_leaver() -> None:
    """Issue 9, row 8: 12 of 55 held, then one more leaves: it was held with the 12, cycle after cycle."""
    snapshot, state = company(42, 13)
    twelve = frozenset(_keys(planned(snapshot, state))[:12])
    assert judged(snapshot, state).decision is Decision.HOLD_REMOVALS
    verdict = judged(snapshot, state, History(waiting=twelve))
    assert (verdict.decision, verdict.waiting) == (Decision.APPLY, twelve)


def test_rows_that_a_person_rejected_do_not_count_again() -> None:
    """Issue 9: "rows already held or rejected do not count again"."""
    snapshot, state = company(42, 13)
    rejected = dict.fromkeys(_keys(planned(snapshot, state))[:12], "Accepted risk: rejected by kim.")
    assert judged(snapshot, state, History(accepted=rejected)).decision is Decision.APPLY


def test_what_already_went_today_still_counts_beside_what_waits() -> None:
    """The rolling day: many small cycles cannot leak past."""
    snapshot, state = company(42, 13)
    keys = _keys(planned(snapshot, state))
    history = History(waiting=frozenset(keys[:10]), removals_last_24h={Action.DISABLE: 5})
    assert judged(snapshot, state, history).decision is Decision.HOLD_REMOVALS


def test_only_the_kind_that_shrank_is_doubted() -> None:
    """Issue 9: "holds only the kind that shrank"."""
    verdict = judged(*company(10, 3), History(last_good_counts={"memberships": 40}))
    assert verdict.doubtful == {(Action.REMOVE_MEMBER, SubjectType.GROUP)}
    assert verdict.over_ceiling == frozenset()


def test_what_a_person_was_asked_about_explains_its_part_of_a_loss() -> None:
    """A held plan of sixty leavers must not make the next single leaver wait as well."""
    snapshot, state = company(39, 61)
    sixty = frozenset(_keys(planned(snapshot, state))[:60])
    history = History(waiting=sixty, last_good_counts={"users": 100})
    assert judged(snapshot, state, history).decision is Decision.APPLY


@pytest.mark.parametrize("removals", [6, 9, 12, 13])
def test_totals_are_counted_only_as_far_as_they_decide(removals: int) -> None:
    """An increment of a million people counts some thousands of rows, and comes to the same verdict."""
    ceilings = Ceilings(count=12, percent=10.0)
    enough = deciding_total(ceilings, removals)
    assert enough == 121
    snapshot, state = company(0, removals)
    made = planned(snapshot, state, ENFORCE)
    verdicts = {
        bool(over(made, replace(state, part_of=Totals(total, total, total)), ceilings))
        for total in (enough, enough + 1, enough * 9_000)
    }
    assert verdicts == {removals > ceilings.count}
    assert deciding_total(Ceilings(percent=0), removals) is None
