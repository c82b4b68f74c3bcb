"""What must hold of every plan, whatever Entra and the store look like."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from random import Random
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.records import (
    REMOVALS,
    Action,
    Ceilings,
    GraphId,
    Reason,
    User,
)
from tests.builders.reconcile.plan_inputs import (
    PlanInputs,
    plan_inputs,
)
from tests.builders.reconcile.snapshots import (
    NOW,
    applied,
    gone,
    partial,
    planned,
)
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.guard import judge, partition
from worker.reconcile.plan import Change, Decision, Verdict
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import History

K = TypeVar("K")
V = TypeVar("V")
thorough = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@thorough
@given(plan_inputs)
def test_after_a_plan_is_applied_nothing_is_left_to_plan(inputs: PlanInputs) -> None:
    """Design §5: the same snapshot and the new state give an empty plan."""
    snapshot, state, policy = inputs
    first = planned(snapshot, state, policy)
    after = applied(state, first.changes)
    assert planned(snapshot, after, policy).changes == ()


@thorough
@given(plan_inputs, st.integers())
def test_the_order_of_what_was_read_does_not_matter(inputs: PlanInputs, seed: int) -> None:
    """Total and stable order: the same facts in another order give the same plan, by checksum."""
    snapshot, state, policy = inputs
    shuffled_snapshot = replace(
        snapshot,
        users=_shuffled(snapshot.users, seed),
        groups=_shuffled(snapshot.groups, seed),
        members=_shuffled(snapshot.members, seed),
        assignments=tuple(Random(seed).sample(snapshot.assignments, len(snapshot.assignments))),
    )
    shuffled_state = replace(state, users=_shuffled(state.users, seed), groups=_shuffled(state.groups, seed))
    one, other = planned(snapshot, state, policy), planned(shuffled_snapshot, shuffled_state, policy)
    assert one.checksum == other.checksum
    assert one == other


@thorough
@given(plan_inputs)
def test_an_incomplete_reading_takes_nothing_from_anybody(inputs: PlanInputs) -> None:
    """Design §5 rule 1: otherwise the cycle adds and never removes."""
    snapshot, state, policy = inputs
    snapshot = replace(snapshot, completeness=partial())
    made = planned(snapshot, state, policy)
    verdict = judge(made, snapshot, state, History(), policy, NOW, entitlement_of(snapshot, policy))
    settled = partition(made, verdict, gone(made))
    assert not [change for change in settled.apply if change.action in REMOVALS]
    assert settled.hold is None


@thorough
@given(plan_inputs)
def test_absence_from_an_incomplete_reading_is_no_drift(inputs: PlanInputs) -> None:
    """Who is merely missing from half a reading is unknown, not gone."""
    snapshot, state, policy = inputs
    made = planned(replace(snapshot, completeness=partial()), state, policy)
    shown = {Reason.DISABLED, Reason.SOFT_DELETED, Reason.OUT_OF_SCOPE}
    removals = [change for change in made.changes if change.action in REMOVALS]
    # A local account that has the object id of a deleted person is not judged by absence either.
    in_bin = {u.id for u in state.users.values() if u.external_id in snapshot.deleted}
    assert {c.reason for c in removals if c.subject.local_id not in in_bin} <= shown


@thorough
@given(plan_inputs)
def test_nobody_who_is_entitled_loses_access(inputs: PlanInputs) -> None:
    """I1: a user entitled in Entra is never deprovisioned."""
    snapshot, state, policy = inputs
    entitlement = entitlement_of(snapshot, policy)
    # Who is linked has an account; another one that goes by the same signs may be somebody else's.
    linked = {user.entra_object_id for user in state.users.values() if user.deleted_at is None}
    rightful = {
        user_id
        for user_id, user in state.users.items()
        if user.entra_object_id in entitlement.entitled
        or _is_of(user, entitlement.entitled - linked, snapshot)
    }
    disabled = {
        c.subject.local_id for c in planned(snapshot, state, policy).changes if c.action is Action.DISABLE
    }
    assert not disabled & rightful


@thorough
@given(plan_inputs)
def test_whoever_is_not_entitled_is_disabled_unless_something_guards_them(inputs: PlanInputs) -> None:
    """I2: every user not entitled is deprovisioned by the first complete cycle after."""
    snapshot, state, policy = inputs
    entitled = entitlement_of(snapshot, policy).entitled
    made = planned(snapshot, state, policy)
    after = applied(state, made.changes)
    told = {f.subject.local_id for f in made.findings} | {c for f in made.findings for c in f.candidates}
    leaked = [
        user
        for user in after.users.values()
        if user.active and user.deleted_at is None and user.entra_object_id is not None
        if user.entra_object_id not in entitled and user.id not in told
    ]
    assert leaked == []


@thorough
@given(plan_inputs, st.sampled_from(Decision))
def test_every_change_is_applied_held_or_dropped_and_only_once(
    inputs: PlanInputs, decision: Decision
) -> None:
    """A settlement loses nothing and does nothing twice."""
    made = planned(*inputs)
    settled = partition(made, Verdict(decision, ("because",)), gone(made))
    held = settled.hold.changes if settled.hold else ()
    parts = [*settled.apply, *held, *(dropped.change for dropped in settled.dropped)]
    assert sorted(map(_identity, parts)) == sorted(map(_identity, made.changes))


@thorough
@given(plan_inputs)
def test_without_confirmation_no_person_loses_anything(inputs: PlanInputs) -> None:
    """Design §5 rule 2: each absentee was re-read by itself and is really gone."""
    made = planned(*inputs)
    settled = partition(made, Verdict(Decision.APPLY, ()), {})
    assert not [c for c in settled.apply if c.action in REMOVALS and c.person]


@thorough
@given(plan_inputs)
def test_everybody_who_would_lose_something_is_an_absentee(inputs: PlanInputs) -> None:
    """Only who is on the list can be confirmed; nobody is forgotten on it."""
    made = planned(*inputs)
    losing = {c.absentee.key for c in made.changes if c.action in REMOVALS and c.absentee}
    # A pushed group that was never linked may have nothing by which Entra could be asked.
    unlinked = {c.subject.key for c in made.changes if c.action is Action.DELETE and not c.subject.graph_id}
    asked = {absentee.subject.key for absentee in made.absentees}
    assert losing - unlinked <= asked <= losing


@thorough
@given(plan_inputs)
def test_protected_accounts_lose_nothing(inputs: PlanInputs) -> None:
    """Design §5 rule 5: accounts marked protected are never removed."""
    snapshot, state, policy = inputs
    protected = {user.id for user in state.users.values() if user.is_protected}
    losing = [
        c.person.local_id
        for c in planned(snapshot, state, policy).changes
        if c.action in REMOVALS and c.person
    ]
    assert not protected & set(losing)


@thorough
@given(plan_inputs)
def test_a_tenant_keeps_an_admin(inputs: PlanInputs) -> None:
    """Design §5 rule 5: the last admin of a tenant is never removed."""
    snapshot, state, policy = inputs
    had = any(user.is_admin and user.active for user in state.users.values())
    after = applied(state, planned(snapshot, state, policy).changes)
    assert not had or any(user.is_admin and user.active for user in after.users.values())


@thorough
@given(plan_inputs)
def test_a_plan_within_the_ceilings_and_confirmed_is_applied_whole(inputs: PlanInputs) -> None:
    """The guard stops nothing without a reason."""
    snapshot, state, policy = inputs
    policy = replace(policy, ceilings=Ceilings(floor=1000))
    made = planned(snapshot, state, policy)
    verdict = judge(made, snapshot, state, History(), policy, NOW, entitlement_of(snapshot, policy))
    settled = partition(made, verdict, gone(made))
    assert verdict.reasons or len(settled.apply) == len(made.changes)


def _shuffled(mapping: Mapping[K, V], seed: int) -> dict[K, V]:
    keys = list(mapping)
    Random(seed).shuffle(keys)
    return {key: mapping[key] for key in keys}


def _identity(change: Change) -> tuple[str, str, str]:
    return change.action, change.subject.key, change.member.key if change.member else ""


def _is_of(user: User, entitled: Collection[GraphId], snapshot: Snapshot) -> bool:
    """Whether a row is, by anything that would make Entra's push take it so, that of somebody entitled."""
    if user.entra_object_id in snapshot.users:
        return user.entra_object_id in entitled
    names = {str(snapshot.users[g].properties.get("userPrincipalName")).lower() for g in entitled}
    return user.entra_object_id is None and (user.external_id in entitled or user.user_name.lower() in names)
