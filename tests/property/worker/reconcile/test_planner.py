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
    MembershipMode,
    Mode,
    Origin,
    Policy,
    Reason,
    Scope,
    User,
)
from tests.builders.reconcile.snapshots import (
    LONG_AGO,
    NOW,
    applied,
    gone,
    group_row,
    holding,
    partial,
    person,
    planned,
    reading,
    row,
)
from worker.reconcile.entitlement import entitlement
from worker.reconcile.guard import judge, partition
from worker.reconcile.plan import Change, Decision, Verdict
from worker.reconcile.snapshot import GraphUser, Snapshot
from worker.reconcile.state import History, State

PEOPLE = ["ana", "bo", "cy", "di", "ed", "flo"]
NAMES = [f"{name}@corp.example" for name in ("ana", "bo", "cy", "di", "eve", "Ana")]
NICKNAMES = ["ana", "bo", "cy"]
GROUPS = ["sales", "staff", "board"]
TITLES = ["Sales", "Staff", "sales"]

K = TypeVar("K")
V = TypeVar("V")

Worlds = tuple[Snapshot, State, Policy]


@st.composite
def directory_users(draw: st.DrawFn) -> list[GraphUser]:
    ids = draw(st.lists(st.sampled_from(PEOPLE), unique=True))
    return [
        person(
            name,
            enabled=draw(st.booleans()),
            manager=draw(st.none() | st.sampled_from(PEOPLE)),
            userPrincipalName=draw(st.none() | st.sampled_from(NAMES)),
            mailNickname=draw(st.none() | st.sampled_from(NICKNAMES)),
            jobTitle=draw(st.none() | st.sampled_from(["Clerk", "Boss"])),
        )
        for name in ids
    ]


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    groups = draw(st.lists(st.sampled_from(GROUPS), unique=True))
    members = st.frozensets(st.sampled_from(PEOPLE + GROUPS))
    return reading(
        draw(directory_users()),
        draw(st.lists(st.sampled_from(PEOPLE), unique=True)),
        {group: draw(members) for group in groups},
        nested={group: draw(st.frozensets(st.sampled_from(PEOPLE))) for group in groups},
        deleted=draw(st.lists(st.sampled_from(PEOPLE), unique=True, max_size=2)),
        names={group: draw(st.sampled_from(TITLES)) for group in groups},
    )


@st.composite
def local_users(draw: st.DrawFn) -> list[User]:
    """Rows as the store allows them: live userNames and links are unique."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(NAMES),
                st.none() | st.sampled_from(PEOPLE),
                st.none() | st.sampled_from(PEOPLE + NICKNAMES),
                st.sampled_from(Origin),
                *[st.booleans()] * 5,
            ),
            max_size=6,
        )
    )
    rows: list[User] = []
    for number, (name, entra, external_id, origin, active, deleted, protected, admin, young) in enumerate(
        drawn
    ):
        live = [] if deleted else [r for r in rows if r.deleted_at is None]
        if any(r.user_name.lower() == name.lower() or (entra and r.entra_object_id == entra) for r in live):
            continue
        rows.append(
            row(
                f"row{number}",
                name=name,
                entra=entra,
                external_id=external_id,
                origin=origin,
                active=active,
                deleted=deleted,
                protected=protected,
                admin=admin,
                modified=NOW if young else LONG_AGO,
            )
        )
    return rows


@st.composite
def states(draw: st.DrawFn) -> State:
    users = draw(local_users())
    titles = draw(st.lists(st.sampled_from(["Sales", "Staff", "Chess"]), unique=True))
    groups = [
        group_row(
            f"group{number}",
            name=name,
            entra=draw(st.none() | st.just(GROUPS[number])),
            external_id=draw(st.none() | st.sampled_from(GROUPS)),
            origin=draw(st.sampled_from(Origin)),
            deleted=draw(st.booleans()),
        )
        for number, name in enumerate(titles)
    ]
    here = [str(group.id) for group in groups if group.deleted_at is None]
    candidates = [str(user.id) for user in users if user.deleted_at is None] + here
    if not candidates:
        return holding(users, groups)
    members = {group: draw(st.frozensets(st.sampled_from(candidates))) - {group} for group in here}
    return holding(users, groups, members)


policies = st.builds(
    Policy,
    mode=st.just(Mode.ENFORCE),
    scope=st.sampled_from(Scope),
    membership=st.sampled_from(MembershipMode),
    clear_emptied_attributes=st.booleans(),
    deprovision_local_accounts=st.booleans(),
)

worlds: st.SearchStrategy[Worlds] = st.tuples(snapshots(), states(), policies)
thorough = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@thorough
@given(worlds)
def test_after_a_plan_is_applied_nothing_is_left_to_plan(world: Worlds) -> None:
    """Design §5: the same snapshot and the new state give an empty plan."""
    snapshot, state, policy = world
    first = planned(snapshot, state, policy)
    after = applied(state, first.changes)
    assert planned(snapshot, after, policy).changes == ()


@thorough
@given(worlds, st.integers())
def test_the_order_of_what_was_read_does_not_matter(world: Worlds, seed: int) -> None:
    """Total and stable order: the same facts in another order give the same plan, by checksum."""
    snapshot, state, policy = world
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
@given(worlds)
def test_an_incomplete_reading_takes_nothing_from_anybody(world: Worlds) -> None:
    """Design §5 rule 1: otherwise the cycle adds and never removes."""
    snapshot, state, policy = world
    snapshot = replace(snapshot, completeness=partial())
    made = planned(snapshot, state, policy)
    verdict = judge(made, snapshot, state, History(), policy, NOW)
    settled = partition(made, verdict, gone(made))
    assert not [change for change in settled.apply if change.action in REMOVALS]
    assert settled.hold is None


@thorough
@given(worlds)
def test_absence_from_an_incomplete_reading_is_no_drift(world: Worlds) -> None:
    """Who is merely missing from half a reading is unknown, not gone."""
    snapshot, state, policy = world
    made = planned(replace(snapshot, completeness=partial()), state, policy)
    shown = {Reason.DISABLED, Reason.SOFT_DELETED, Reason.OUT_OF_SCOPE}
    removals = [change for change in made.changes if change.action in REMOVALS]
    # A local account that has the object id of a deleted person is not judged by absence either.
    in_bin = {u.id for u in state.users.values() if u.external_id in snapshot.deleted}
    assert {c.reason for c in removals if c.subject.local_id not in in_bin} <= shown


@thorough
@given(worlds)
def test_nobody_who_is_entitled_loses_access(world: Worlds) -> None:
    """I1: a user entitled in Entra is never deprovisioned."""
    snapshot, state, policy = world
    standing = entitlement(snapshot, policy)
    # Who is linked has an account; another one that goes by the same signs may be somebody else's.
    linked = {user.entra_object_id for user in state.users.values() if user.deleted_at is None}
    rightful = {
        user_id
        for user_id, user in state.users.items()
        if user.entra_object_id in standing.entitled or _is_of(user, standing.entitled - linked, snapshot)
    }
    disabled = {
        c.subject.local_id for c in planned(snapshot, state, policy).changes if c.action is Action.DISABLE
    }
    assert not disabled & rightful


@thorough
@given(worlds)
def test_whoever_is_not_entitled_is_disabled_unless_something_guards_them(world: Worlds) -> None:
    """I2: every user not entitled is deprovisioned by the first complete cycle after."""
    snapshot, state, policy = world
    entitled = entitlement(snapshot, policy).entitled
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
@given(worlds, st.sampled_from(Decision))
def test_every_change_is_applied_held_or_dropped_and_only_once(world: Worlds, decision: Decision) -> None:
    """A settlement loses nothing and does nothing twice."""
    made = planned(*world)
    settled = partition(made, Verdict(decision, ("because",)), gone(made))
    held = settled.hold.changes if settled.hold else ()
    parts = [*settled.apply, *held, *(dropped.change for dropped in settled.dropped)]
    assert sorted(map(_identity, parts)) == sorted(map(_identity, made.changes))


@thorough
@given(worlds)
def test_without_confirmation_no_person_loses_anything(world: Worlds) -> None:
    """Design §5 rule 2: each absentee was re-read by itself and is really gone."""
    made = planned(*world)
    settled = partition(made, Verdict(Decision.APPLY, ()), {})
    assert not [c for c in settled.apply if c.action in REMOVALS and c.person]


@thorough
@given(worlds)
def test_everybody_who_would_lose_something_is_an_absentee(world: Worlds) -> None:
    """Only who is on the list can be confirmed; nobody is forgotten on it."""
    made = planned(*world)
    losing = {c.absentee.key for c in made.changes if c.action in REMOVALS and c.absentee}
    # A pushed group that was never linked may have nothing by which Entra could be asked.
    unlinked = {c.subject.key for c in made.changes if c.action is Action.DELETE and not c.subject.graph_id}
    asked = {absentee.subject.key for absentee in made.absentees}
    assert losing - unlinked <= asked <= losing


@thorough
@given(worlds)
def test_protected_accounts_lose_nothing(world: Worlds) -> None:
    """Design §5 rule 5: accounts marked protected are never removed."""
    snapshot, state, policy = world
    protected = {user.id for user in state.users.values() if user.is_protected}
    losing = [
        c.person.local_id
        for c in planned(snapshot, state, policy).changes
        if c.action in REMOVALS and c.person
    ]
    assert not protected & set(losing)


@thorough
@given(worlds)
def test_a_tenant_keeps_an_admin(world: Worlds) -> None:
    """Design §5 rule 5: the last admin of a tenant is never removed."""
    snapshot, state, policy = world
    had = any(user.is_admin and user.active for user in state.users.values())
    after = applied(state, planned(snapshot, state, policy).changes)
    assert not had or any(user.is_admin and user.active for user in after.users.values())


@thorough
@given(worlds)
def test_a_plan_within_the_ceilings_and_confirmed_is_applied_whole(world: Worlds) -> None:
    """The guard stops nothing without a reason."""
    snapshot, state, policy = world
    policy = replace(policy, ceilings=Ceilings(floor=1000))
    made = planned(snapshot, state, policy)
    verdict = judge(made, snapshot, state, History(), policy, NOW)
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
