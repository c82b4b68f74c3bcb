"""What is left out because it agrees as before is what a plan of the whole has nothing for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.records import Glance, Group, GroupId, Mode, Origin, Policy, User, UserId
from tests.property.test_reconcile_focus import _part_of_state
from tests.property.test_reconcile_plan import Worlds, worlds
from tests.property.worlds import NOW, applied, holding, person, planned, reading, row
from worker.reconcile import agreement
from worker.reconcile.agreement import Looked
from worker.reconcile.focus import Focus
from worker.reconcile.plan import Change
from worker.reconcile.planning import plan
from worker.reconcile.scope import entitlement
from worker.reconcile.snapshot import Assignment, Snapshot
from worker.reconcile.state import State

thorough = settings(
    max_examples=300, report_multiple_bugs=False, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
STAFF = ["ann", "bob", "cat", "dan"]
TEAMS = ["red", "blue"]
MOSTLY = st.sampled_from([True, True, True, False])
few = st.lists(MOSTLY.map(lambda usual: not usual), min_size=20, max_size=20)


@st.composite
def companies(draw: st.DrawFn) -> Snapshot:
    """Most are enabled and assigned, names are unique: what a directory looks like on most days."""
    ids = draw(st.lists(st.sampled_from(STAFF), unique=True, min_size=2))
    people = [
        person(
            name,
            enabled=draw(MOSTLY),
            manager=draw(st.none() | st.sampled_from(STAFF)),
            jobTitle=draw(st.sampled_from(["Clerk", "Boss"])),
        )
        for name in ids
    ]
    groups = {
        group: draw(st.frozensets(st.sampled_from([*STAFF, *TEAMS]))) for group in TEAMS if draw(MOSTLY)
    }
    assigned = [name for name in STAFF if draw(st.booleans())]
    return reading(
        people, assigned, groups, names={group: draw(st.sampled_from([group, "Crew"])) for group in TEAMS[:1]}
    )


@st.composite
def histories(draw: st.DrawFn) -> tuple[State, Policy]:
    """A store that came from cycles over such directories, with a few accounts of its own."""
    policy = Policy(mode=Mode.ENFORCE, clear_emptied_attributes=draw(st.booleans()))
    own = [
        row(
            f"own{number}",
            name=f"{name}@corp.example",
            external_id=name,
            origin=draw(st.sampled_from(Origin)),
        )
        for number, name in enumerate(STAFF)
        if not draw(MOSTLY)
    ]
    state = holding(own)
    return applied(state, planned(draw(companies()), state, policy).changes), policy


@thorough
@given(histories(), companies(), companies(), st.data())
def test_looking_closely_at_the_unsettled_gives_the_plan_of_the_whole(
    history: tuple[State, Policy], before: Snapshot, later: Snapshot, data: st.DataObject
) -> None:
    """For every world the way by digests gives exactly the plan of the way without."""
    state, policy = history
    snapshot = _with_digests(before)
    state, agreed = _after_a_cycle(snapshot, state, policy, data.draw(few))
    snapshot = _with_digests(_moved_on(snapshot, later, data.draw(few)))
    state = _edited(state, data.draw(few))

    focus = _unsettled(snapshot, state, policy, agreed)
    part = _part_of_state(state, agreement.part_to_load(snapshot, focus), policy, focus)
    assert plan(snapshot, part, policy, NOW, focus) == planned(snapshot, state, policy)


@thorough
@given(worlds)
def test_after_a_cycle_that_left_nothing_open_everybody_entitled_agrees(world: Worlds) -> None:
    """The next full cycle looks closely at nobody whom Entra shows as before."""
    snapshot, state, policy = world
    snapshot = _with_digests(snapshot)
    after, agreed = _after_a_cycle(snapshot, state, policy, [])
    whole = planned(snapshot, after, policy)
    focus = _unsettled(snapshot, after, policy, agreed)
    standing = entitlement(snapshot, policy)
    blamed = {
        finding.subject.graph_id for finding in (*planned(snapshot, state, policy).findings, *whole.findings)
    }
    young = {row.entra_object_id for row in state.users.values() if row.last_modified > snapshot.taken_at}
    linked = {row.entra_object_id for row in after.users.values() if row.active and row.deleted_at is None}
    if not blamed and standing.is_whole and not focus.rows and not young:
        assert not (focus.users & standing.entitled & linked)


def _with_digests(snapshot: Snapshot) -> Snapshot:
    users = {
        graph_id: replace(
            user, digest=repr((user.account_enabled, user.manager_id, sorted(user.properties.items())))
        )
        for graph_id, user in snapshot.users.items()
    }
    return replace(snapshot, users=users)


def _after_a_cycle(
    snapshot: Snapshot, state: State, policy: Policy, failing: list[bool]
) -> tuple[State, Mapping[str, str]]:
    """The state after a cycle some of whose changes failed, and what its rows agreed on."""
    made = planned(snapshot, state, policy)
    # A change that others rest on fails with these: members who were not created, a row that was not linked.
    fails = dict(zip(range(len(made.changes)), failing, strict=False))
    broken = {c.subject.local_id for n, c in enumerate(made.changes) if fails.get(n) and c.member is None}
    done = [c for n, c in enumerate(made.changes) if not fails.get(n) and not {*_rows(c)} & broken]
    after = _next_versions(
        state, applied(state, done) if len(done) == len(made.changes) else _try(state, done)
    )
    if after is None:
        return state, {}
    here: tuple[User | Group, ...] = (*after.users.values(), *after.groups.values())
    rows = {str(r.id): r for r in here}
    versions = {row_id: rows[row_id].version for change in done if (row_id := change.subject.local_id)}
    looked = Looked(
        snapshot, entitlement(snapshot, policy), state, None, made, {id(c): c for c in done}, versions
    )
    found = [*agreement.agreed_people(looked), *agreement.agreed_groups(looked)]
    return after, {each.id: each.agreed for each in found if rows[each.id].version == each.version}


def _rows(change: Change) -> set[str | None]:
    return {change.subject.local_id, change.member.local_id if change.member else change.subject.local_id}


def _try(state: State, changes: list[Change]) -> State | None:
    """None where the changes rest on one that failed: the store would refuse them too."""
    try:
        return applied(state, changes)
    except AssertionError:
        return None


def _next_versions(before: State, after: State | None) -> State | None:
    """Every write of a row, and of a group's members, raises its version once more."""
    if after is None:
        return None
    users = {i: _raised(before.users.get(i), row) for i, row in after.users.items()}
    groups: dict[GroupId, Group] = {}
    for group_id, group in after.groups.items():
        is_touched = before.members.get(group_id, frozenset()) != after.members.get(group_id, frozenset())
        is_changed = is_touched or before.groups.get(group_id) != group
        groups[group_id] = replace(group, version=group.version + 1) if is_changed else group
    return replace(after, users=users, groups=groups)


def _raised(before: User | None, row: User) -> User:
    return row if before is None or row == before else replace(row, version=before.version + 1)


def _moved_on(before: Snapshot, later: Snapshot, moved: list[bool]) -> Snapshot:
    """Entra some time after: what has moved is as in another snapshot, the rest as it was."""
    choice = iter(moved)
    users = {g: later.users.get(g, user) if next(choice, False) else user for g, user in before.users.items()}
    users |= {g: user for g, user in later.users.items() if g not in users and next(choice, False)}
    is_moved = next(choice, False)
    members = {
        g: later.members.get(g, held) if next(choice, is_moved) else held
        for g, held in before.members.items()
    }
    return replace(
        before,
        users=users,
        members=members,
        deleted=later.deleted if is_moved else before.deleted,
        assignments=_assigned(before, later) if moved[-1] else before.assignments,
        groups=before.groups,
    )


def _assigned(before: Snapshot, later: Snapshot) -> tuple[Assignment, ...]:
    """Other people are assigned by themselves, the same groups as before."""
    groups = [row for row in before.assignments if row.principal_type == "Group"]
    return (*[row for row in later.assignments if row.principal_type == "User"], *groups)


def _edited(state: State, edited: list[bool]) -> State:
    """Pushes and people at work: titles change, accounts are switched off, some people leave a group."""
    choice = iter(edited)
    users: dict[UserId, User] = {}
    for row_id, held_row in state.users.items():
        here = held_row
        if next(choice, False):
            here = replace(here, document={**here.document, "title": "Guest"}, version=here.version + 1)
        if next(choice, False) and here.deleted_at is None:
            here = replace(here, active=not here.active, version=here.version + 1)
        if next(choice, False) and here.deleted_at is None:
            here = replace(here, id=UserId(f"again-{row_id}"))
        users[here.id] = here
    if next(choice, False):
        made = row("made", external_id=STAFF[len(users) % len(STAFF)])
        users[made.id] = made
    groups = dict(state.groups)
    members = {group: held & (users.keys() | groups.keys()) for group, held in state.members.items()}
    for group_id, group in state.groups.items():
        held = members.get(group_id, frozenset())
        is_left = next(choice, False) and bool(held)
        members[group_id] = frozenset(sorted(held)[1:]) if is_left else held
        if members[group_id] != state.members.get(group_id, frozenset()):
            groups[group_id] = replace(group, version=group.version + 1)
    return replace(state, users=users, groups=groups, members=members)


def _unsettled(snapshot: Snapshot, state: State, policy: Policy, agreed: Mapping[str, str]) -> Focus:
    def glances(rows: Mapping[UserId, User] | Mapping[GroupId, Group]) -> list[Glance]:
        return [
            Glance(
                r.id,
                r.entra_object_id,
                r.version,
                agreed.get(r.id),
                r.active if isinstance(r, User) else True,
            )
            for r in rows.values()
            if r.deleted_at is None
        ]

    standing = entitlement(snapshot, policy)
    focus = agreement.unsettled(snapshot, standing, glances(state.users), glances(state.groups))
    free = [row for row in state.users.values() if row.id in focus.rows]
    return focus | agreement.claimants(snapshot, policy, free)
