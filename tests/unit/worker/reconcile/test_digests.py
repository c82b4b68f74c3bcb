"""Who agrees with Entra as before is left out of a full cycle; whatever is different brings them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from msgspec import structs

from store.records import Action, GraphId, Group, Policy, RowSummary, User, UserId
from tests.builders.reconcile.snapshots import (
    ENFORCE,
    NOW,
    applied,
    group_row,
    holding,
    person,
    planned,
    reading,
    row,
    twin,
)
from worker.reconcile import digests
from worker.reconcile.digests import ComparedState
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.snapshot import Focus, Snapshot
from worker.reconcile.state import State

ANN, BOB = person("ann", manager="bob"), person("bob")
NOBODY = Focus()


def directory(
    *people: object, assigned: tuple[str, ...] = ("ann", "bob"), **groups: tuple[str, ...]
) -> Snapshot:
    everybody = [ANN, BOB] if not people else list(people)
    snapshot = reading(everybody, assigned, groups or {"crew": ("ann", "bob")})  # type: ignore[arg-type]
    users = {
        g: structs.replace(u, digest=repr((u.account_enabled, u.manager_id, u.properties)))
        for g, u in snapshot.users.items()
    }
    return replace(snapshot, users=users)


def looked_at(snapshot: Snapshot, state: State, policy: Policy = ENFORCE) -> tuple[State, Mapping[str, str]]:
    """The state after a cycle that applied everything, and what its rows agreed on."""
    made = planned(snapshot, state, policy)
    after = applied(state, made.changes)
    here: tuple[User | Group, ...] = (*after.users.values(), *after.groups.values())
    rows = {str(r.id): r for r in here}
    versions = {str(c.subject.local_id): rows[str(c.subject.local_id)].version for c in made.changes}
    looked = ComparedState(
        snapshot, entitlement_of(snapshot, policy), state, None, made, made.changes, versions
    )
    agreed = [*digests.unchanged_users(looked), *digests.unchanged_groups(looked)]
    return after, {each.id: each.agreed for each in agreed}


def unsettled(snapshot: Snapshot, state: State, agreed: Mapping[str, str], policy: Policy = ENFORCE) -> Focus:
    glances = [
        [
            RowSummary(
                r.id, r.entra_object_id, r.version, agreed.get(r.id), not isinstance(r, User) or r.active
            )
            for r in rows
            if r.deleted_at is None
        ]
        for rows in (state.users.values(), state.groups.values())
    ]
    focus = digests.possibly_changed(snapshot, entitlement_of(snapshot, policy), *glances)
    free = [r for r in state.users.values() if r.id in focus.rows]
    return focus | digests.rematch_candidates(snapshot, policy, free)


def users(*names: str) -> Focus:
    return Focus(users=frozenset(map(GraphId, names)))


def test_nobody_is_looked_at_where_all_is_as_before() -> None:
    """A full cycle with nothing to change reads everything and compares digests."""
    state, agreed = looked_at(directory(), holding())
    assert unsettled(directory(), state, agreed) == NOBODY


def change_user(state: State, name: str, **fields: object) -> State:
    found = next(u for u in state.users.values() if u.user_name.startswith(name))
    others = {i: u for i, u in state.users.items() if i != found.id}
    changed = structs.replace(found, **fields)
    return replace(state, users={**others, changed.id: changed})


def change_group(state: State, **fields: object) -> State:
    return replace(state, groups={i: structs.replace(g, **fields) for i, g in state.groups.items()})


CHANGES_HERE: list[tuple[str, Callable[[State], State], Focus]] = [
    ("a push moved the row", lambda s: change_user(s, "ann", version=9), users("ann")),
    ("the row was switched off", lambda s: change_user(s, "ann", active=False), users("ann")),
    ("the manager has another row", lambda s: change_user(s, "bob", id=UserId("x")), users("ann", "bob")),
    ("the row is gone", lambda s: change_user(s, "ann", deleted_at=NOW), users("ann")),
    ("members moved", lambda s: change_group(s, version=9), Focus(groups=frozenset({GraphId("crew")}))),
    (
        "the group is gone",
        lambda s: change_group(s, deleted_at=NOW),
        Focus(groups=frozenset({GraphId("crew")})),
    ),
]


@pytest.mark.parametrize(
    ("change", "expected"), [c[1:] for c in CHANGES_HERE], ids=[c[0] for c in CHANGES_HERE]
)
def test_any_write_here_voids_what_was_agreed(change: Callable[[State], State], expected: Focus) -> None:
    """The version is part of it: a push or a person at the console need not know of digests."""
    state, agreed = looked_at(directory(), holding())
    assert unsettled(directory(), change(state), agreed) == expected


CHANGES_THERE: list[tuple[str, Snapshot, Focus]] = [
    ("a title", directory(person("ann", manager="bob", jobTitle="Boss"), BOB), users("ann")),
    ("the manager", directory(person("ann"), BOB), users("ann")),
    ("disabled", directory(structs.replace(ANN, account_enabled=False), BOB), users("ann")),
    (
        "unassigned",
        directory(assigned=("bob",), crew=("bob",)),
        users("ann") | Focus(groups=frozenset({GraphId("crew")})),
    ),
    ("gone", directory(ANN, crew=("ann", "bob")), users("bob")),
    (
        "arrived",
        directory(ANN, BOB, person("cat"), assigned=("ann", "bob", "cat"), crew=("ann", "bob")),
        users("cat"),
    ),
    ("left a group", directory(crew=("ann",)), Focus(groups=frozenset({GraphId("crew")}))),
    ("a group unassigned", directory(other=()), Focus(groups=frozenset(map(GraphId, ("crew", "other"))))),
    ("a new group", directory(crew=("ann", "bob"), new=()), Focus(groups=frozenset({GraphId("new")}))),
]


@pytest.mark.parametrize(
    ("later", "expected"), [c[1:] for c in CHANGES_THERE], ids=[c[0] for c in CHANGES_THERE]
)
def test_whatever_changes_in_entra_is_looked_at(later: Snapshot, expected: Focus) -> None:
    """Entitlement is decided from this cycle's facts; what Graph says of a person is in the digest."""
    state, agreed = looked_at(directory(), holding())
    assert unsettled(later, state, agreed) == expected


def test_who_is_not_entitled_and_has_no_access_is_not_looked_at() -> None:
    """Nothing is planned for them, here or in Entra."""
    off = structs.replace(person("cat"), account_enabled=False)
    snapshot = directory(ANN, BOB, off, person("dan"))
    state, agreed = looked_at(snapshot, holding([twin(off, active=False)]))
    assert unsettled(snapshot, state, agreed) == NOBODY


def test_an_account_nobody_is_linked_to_brings_those_who_could_claim_it() -> None:
    """Matching is by object id, userName or mailNickname (design.md §5): whoever answers to any is matched again."""
    cat = person("cat")
    state, agreed = looked_at(directory(ANN, BOB, cat), holding())
    for free in (row("own", name="cat@corp.example"), row("own", external_id="cat")):
        here = replace(state, users={**state.users, UserId("own"): free})
        focus = unsettled(directory(ANN, BOB, cat), here, agreed)
        assert focus == Focus(users=frozenset({GraphId("cat")}), rows=frozenset({"own"}))


def test_a_manager_who_comes_brings_the_reports() -> None:
    """Who refers to a manager without an account here refers to the new one in the same plan (simulation, seed 2)."""
    state, agreed = looked_at(directory(assigned=("ann",), crew=("ann",)), holding())
    assert unsettled(directory(assigned=("ann",), crew=("ann",)), state, agreed) == NOBODY
    assert unsettled(directory(crew=("ann",)), state, agreed) == users("ann", "bob")

    here = replace(state, users={**state.users, UserId("own"): row("own", external_id="bob")})
    focus = unsettled(directory(assigned=("ann",), crew=("ann",)), here, agreed)
    assert focus == Focus(users=frozenset(map(GraphId, ("ann", "bob"))), rows=frozenset({"own"}))


def test_a_change_that_did_not_take_effect_leaves_no_agreement() -> None:
    """An agreement is written only where nothing about the person is left open."""
    snapshot, state = directory(), holding()
    made = planned(snapshot, state)
    joins = next(c for c in made.changes if c.member and c.member.graph_id == "ann")
    done = [c for c in made.changes if c is not joins]
    after = applied(state, done)
    here: tuple[User | Group, ...] = (*after.users.values(), *after.groups.values())
    rows = {str(r.id): r for r in here}
    versions = {i: r.version for i, r in rows.items()}
    looked = ComparedState(snapshot, entitlement_of(snapshot, ENFORCE), state, None, made, done, versions)
    people = {each.id for each in digests.unchanged_users(looked)}
    assert people == {u.id for u in after.users.values() if u.entra_object_id == "bob"}
    assert list(digests.unchanged_groups(looked)) == []


def test_who_is_to_leave_but_was_held_agrees_on_nothing_any_more() -> None:
    """Nobody compared their memberships meanwhile; who is entitled again is looked at whole (simulation, seed 305)."""
    state = holding([twin(ANN), twin(BOB)], [group_row("crew", entra="crew")], {"crew": ()})
    snapshot = directory(assigned=("bob",), crew=("bob",))
    made = planned(snapshot, state)
    assert [c.subject.graph_id for c in made.changes if c.action is Action.DISABLE] == ["ann"]
    done = [c for c in made.changes if c.action is not Action.DISABLE]
    looked = ComparedState(snapshot, entitlement_of(snapshot, ENFORCE), state, None, made, done, {})
    people = {each.id: each.agreed for each in digests.unchanged_users(looked)}
    assert (bool(people["row-bob"]), people["row-ann"]) == (True, "")


def test_a_row_that_moved_while_graph_was_read_was_not_compared() -> None:
    """A push that landed since may know better (invariant I7): nothing is agreed on with it any more.

    The version alone would not tell after a clock that fell back (simulation, seed 146).
    """
    crew = group_row("crew", entra="crew", modified=NOW)
    inside = {"crew": ("row-ann", "row-bob")}
    state = holding([twin(BOB), structs.replace(twin(ANN), last_modified=NOW)], [crew], inside)
    made = planned(directory(), state)
    looked = ComparedState(directory(), entitlement_of(directory(), ENFORCE), state, None, made, (), {})
    people = {each.id: each.agreed for each in digests.unchanged_users(looked)}
    assert people.keys() == {"row-bob", "row-ann"}
    assert (bool(people["row-bob"]), people["row-ann"]) == (True, "")
    assert list(digests.unchanged_groups(looked)) == []


def test_whose_membership_was_left_alone_agrees_on_nothing_at_a_new_version_either() -> None:
    """An empty digest of the old version would not reach the row that the plan changed (simulation, seed 41027)."""
    touched = group_row("crew", entra="crew", modified=NOW)
    old = structs.replace(twin(ANN), document={**twin(ANN).document, "displayName": "Someone"})
    state = holding([twin(BOB), old], [touched], {"crew": ("row-bob",)})
    snapshot = directory()
    made = planned(snapshot, state)
    assert [c.action for c in made.changes] == [Action.UPDATE]
    assert made.again == {"row-ann"}
    versions = {"row-ann": old.version + 1}
    looked = ComparedState(
        snapshot, entitlement_of(snapshot, ENFORCE), state, None, made, made.changes, versions
    )
    agreed = {each.id for each in digests.unchanged_users(looked) if each.agreed}
    assert agreed == {"row-bob"}


def test_another_policy_has_other_digests() -> None:
    """What somebody is compared by is part of what was agreed on."""
    keys = {
        digests.policy_key(policy)
        for policy in (
            Policy(),
            Policy(clear_emptied_attributes=True),
            Policy(mapping={"userName": "mail"}),
        )
    }
    assert len(keys) == len({digests.digest_of(b"{}", key) for key in keys}) == 3
