"""What is left out because it agrees as before is what a plan of the whole has nothing for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from store.records import (
    GraphId,
    Group,
    GroupId,
    MembershipMode,
    Mode,
    Origin,
    Policy,
    RowSummary,
    Scope,
    ScopingClause,
    User,
    UserId,
)
from tests.builders.reconcile.partial_state import part_of_state
from tests.builders.reconcile.plan_inputs import PlanInputs, plan_inputs
from tests.builders.reconcile.snapshots import (
    LONG_AGO,
    NOW,
    applied,
    group_row,
    holding,
    person,
    planned,
    reading,
    row,
)
from tests.builders.reconcile.snapshots import whole as whole_proof
from worker.reconcile import digests
from worker.reconcile.arrays.object_ids import MemberLists, ObjectIds
from worker.reconcile.arrays.user_table import UserTable
from worker.reconcile.digests import ComparedState
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING
from worker.reconcile.plan import Change, Plan
from worker.reconcile.snapshot import Assignment, Focus, GraphUser, Snapshot
from worker.reconcile.state import State

thorough = settings(
    max_examples=300, report_multiple_bugs=False, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
STAFF = ["ann", "bob", "cat", "dan"]
TEAMS = ["red", "blue"]
NAMES = ["Red", "Crew", "Blue"]
CYCLES = 3
MOSTLY = st.sampled_from([True, True, True, False])
RARELY = st.sampled_from([False, False, False, True])
MAPPINGS = st.sampled_from([None, {**DEFAULT_MAPPING, "title": "department"}])
FILTERS = st.sampled_from([(), (), ((ScopingClause("jobTitle", "EQUALS", "Clerk"),),)])

policies = st.builds(
    Policy,
    mode=st.just(Mode.ENFORCE),
    mapping_confirmed=st.just(True),
    scope=st.sampled_from([Scope.ASSIGNED, Scope.ASSIGNED, Scope.ALL]),
    membership=st.sampled_from(MembershipMode),
    mapping=MAPPINGS,
    scoping_filters=FILTERS,
    clear_emptied_attributes=st.booleans(),
    deprovision_local_accounts=st.booleans(),
)


@st.composite
def changed(draw: st.DrawFn, policy: Policy) -> Policy:
    """Another policy, as an admin changes it: one setting at a time."""
    match draw(st.sampled_from(["mapping", "filters", "emptied"])):
        case "mapping":
            return replace(policy, mapping=draw(MAPPINGS))
        case "filters":
            return replace(policy, scoping_filters=draw(FILTERS))
    return replace(policy, clear_emptied_attributes=not policy.clear_emptied_attributes)


@st.composite
def people(draw: st.DrawFn, name: str) -> GraphUser:
    """Somebody of the staff, mostly enabled; two of them may share a mail nickname."""
    return person(
        name,
        enabled=draw(MOSTLY),
        manager=draw(st.none() | st.sampled_from(STAFF)),
        jobTitle=draw(st.sampled_from(["Clerk", "Clerk", "Boss", None])),
        department=draw(st.sampled_from(["Sales", None])),
        mailNickname=draw(st.sampled_from([name, name, "ann"])),
    )


@st.composite
def companies(draw: st.DrawFn) -> Snapshot:
    """Most are enabled and assigned, userNames are unique: what a directory looks like on most days."""
    ids = draw(st.lists(st.sampled_from(STAFF), unique=True, min_size=2))
    teams = [team for team in TEAMS if draw(MOSTLY)]
    anybody = st.frozensets(st.sampled_from([*STAFF, *TEAMS]))
    return reading(
        [draw(people(name)) for name in ids],
        [name for name in STAFF if draw(st.booleans())],
        {team: draw(anybody) for team in teams},
        nested={team: draw(st.frozensets(st.sampled_from(STAFF))) for team in teams},
        deleted=[name for name in STAFF if name not in ids and draw(st.booleans())],
        names={team: draw(st.sampled_from([team.title(), "Crew"])) for team in teams[:1]},
    )


@st.composite
def next_day(draw: st.DrawFn, before: Snapshot) -> Snapshot:
    """Entra a day later: some people changed, came, were deleted or purged; teams and assignments moved."""
    later, users, deleted = draw(companies()), dict(before.users), dict(before.deleted)
    for name in map(GraphId, STAFF):
        fate = draw(
            st.sampled_from([*["stays"] * 6, "changes", "changes", "is deleted", "is purged", "is back"])
        )
        if fate == "changes" and name in users:
            users[name] = later.users.get(name, users[name])
        elif fate in ("is deleted", "is purged") and name in users:
            del users[name]
            deleted |= {name: LONG_AGO} if fate == "is deleted" else {}
        elif fate == "is back" and name not in users:
            users[name] = later.users.get(name) or draw(people(name))
            deleted.pop(name, None)
    whole = before if draw(MOSTLY) else later
    ours = later if draw(RARELY) else whole
    assigned = [each for each in ours.assignments if each.principal_type == "User"]
    members = {g: later.members.get(g, held) if draw(RARELY) else held for g, held in whole.members.items()}
    return replace(
        whole,
        users=users,
        assignments=(*assigned, *(each for each in whole.assignments if each.principal_type == "Group")),
        deleted={g: at for g, at in deleted.items() if g not in users},
        members=members,
        nested_members=later.nested_members if draw(RARELY) else whole.nested_members,
        completeness=whole_proof(len(users)),
    )


@st.composite
def accounts(draw: st.DrawFn) -> State:
    """A few accounts before the first cycle: pushed, or made here, and linked to nobody."""
    own = [
        row(
            f"own{number}",
            name=f"{name}@corp.example",
            external_id=name,
            origin=draw(st.sampled_from(Origin)),
        )
        for number, name in enumerate(STAFF)
        if draw(RARELY)
    ]
    teams = [group_row("ours", name=draw(st.sampled_from(NAMES)))] if draw(RARELY) else []
    state = holding(own, teams, {team.id: [user.id for user in own] for team in teams})
    return replace(state, has_admin_elsewhere=draw(RARELY))


@thorough
@given(accounts(), companies(), policies, st.data())
def test_looking_closely_at_the_unsettled_gives_the_plan_of_the_whole(
    state: State, snapshot: Snapshot, policy: Policy, data: st.DataObject
) -> None:
    """For every story of a few days the cycles by digests plan exactly what cycles without would."""
    agreed: Mapping[str, str] = {}
    for _ in range(CYCLES):
        seen = _as_read(snapshot, policy)
        failing = data.draw(st.lists(RARELY, max_size=12)) if data.draw(RARELY) else []
        state, agreed = _cycle(seen, state, policy, agreed, failing)
        # On most days not everything moves at once: who is left alone is whom digests are for.
        moves = data.draw(st.sampled_from(["Entra", "Entra", "here", "policy", "all"]))
        snapshot = data.draw(next_day(snapshot)) if moves in ("Entra", "all") else snapshot
        state = data.draw(edited(state)) if moves in ("here", "all") else state
        policy = data.draw(changed(policy)) if moves in ("policy", "all") else policy
    seen = _as_read(snapshot, policy)
    assert _by_digests(seen, state, policy, agreed)[0] == planned(seen, state, policy)


def a_managers_row_is_another(inputs: PlanInputs) -> PlanInputs:
    """The report's own row and what Graph says of the report are as before."""
    snapshot, state, policy = inputs
    users = {here.id: here for row in state.users.values() for here in [_made_again(row, "bob")]}
    return snapshot, replace(state, users=users), policy


def a_manager_is_recognised(inputs: PlanInputs) -> PlanInputs:
    """A row is pushed for a manager who has none, and is not entitled."""
    snapshot, state, policy = inputs
    made = row("made", name="made@corp.example", external_id="dan")
    return snapshot, replace(state, users={**state.users, made.id: made}), policy


def a_manager_comes(inputs: PlanInputs) -> PlanInputs:
    """Whoever reports to somebody who is made here now refers to them from now on."""
    snapshot, state, policy = inputs
    came = Assignment(GraphId("dan"), "User", "0")
    return replace(snapshot, assignments=(*snapshot.assignments, came)), state, policy


def emptied_attributes_are_to_be_cleared(inputs: PlanInputs) -> PlanInputs:
    snapshot, state, policy = inputs
    return snapshot, state, replace(policy, clear_emptied_attributes=True)


def one_of_two_admins_leaves(inputs: PlanInputs) -> PlanInputs:
    """The other one agrees, and is not loaded: that there is one must be known all the same."""
    snapshot, state, policy = inputs
    users = {
        i: structs.replace(user, is_admin=user.entra_object_id in ("ann", "cat"))
        for i, user in state.users.items()
    }
    stay = tuple(each for each in snapshot.assignments if each.principal_id != "ann")
    return replace(snapshot, assignments=stay), replace(state, users=users), policy


def the_last_admin_leaves(inputs: PlanInputs) -> PlanInputs:
    snapshot, state, policy = one_of_two_admins_leaves(inputs)
    users = {
        i: structs.replace(user, is_admin=user.entra_object_id == "ann") for i, user in state.users.items()
    }
    return snapshot, replace(state, users=users), policy


def a_protected_account_leaves(inputs: PlanInputs) -> PlanInputs:
    snapshot, state, policy = one_of_two_admins_leaves(inputs)
    users = {i: structs.replace(user, is_protected=True, is_admin=False) for i, user in state.users.items()}
    return snapshot, replace(state, users=users), policy


def somebody_is_deleted_here(inputs: PlanInputs) -> PlanInputs:
    snapshot, state, policy = inputs
    users = {
        i: _edited_user(u, "deleted" if u.entra_object_id == "ann" else "") for i, u in state.users.items()
    }
    members = {
        g: held & {i for i, u in users.items() if u.deleted_at is None} for g, held in state.members.items()
    }
    return snapshot, replace(state, users=users, members=members), policy


@pytest.mark.parametrize(
    "moves",
    [
        a_managers_row_is_another,
        a_manager_is_recognised,
        a_manager_comes,
        emptied_attributes_are_to_be_cleared,
        one_of_two_admins_leaves,
        the_last_admin_leaves,
        a_protected_account_leaves,
        somebody_is_deleted_here,
    ],
    ids=lambda moves: moves.__name__,
)
def test_what_moves_beside_the_bytes_of_a_person_is_seen(moves: Callable[[PlanInputs], PlanInputs]) -> None:
    """What random inputs hit too rarely: everybody agrees, then one thing moves that no digest of Graph's bytes shows."""
    policy = Policy(mode=Mode.ENFORCE)
    staff = [
        person("ann", manager="bob", jobTitle="Clerk"),
        *(person(name) for name in ("bob", "cat", "dan")),
    ]
    staff[2] = person("cat", manager="dan")
    snapshot = reading(staff, ["ann", "bob", "cat"], {"red": ["bob", "cat"]})
    state, agreed = _cycle(_as_read(snapshot, policy), holding(), policy, {}, [])
    staff[0] = person("ann", manager="bob", jobTitle=None)
    snapshot = replace(snapshot, users={user.id: user for user in staff})
    state, agreed = _cycle(_as_read(snapshot, policy), state, policy, agreed, [])
    assert _unsettled(_as_read(snapshot, policy), state, policy, agreed) == Focus()

    snapshot, state, policy = moves((snapshot, state, policy))
    seen = _as_read(snapshot, policy)
    whole = planned(seen, state, policy)
    assert _by_digests(seen, state, policy, agreed)[0] == whole
    assert whole.changes or whole.findings


def _made_again(user: User, who: str) -> User:
    return _edited_user(user, "made again") if user.entra_object_id == who else user


def _cycle(
    snapshot: Snapshot, state: State, policy: Policy, agreed: Mapping[str, str], failing: list[bool]
) -> tuple[State, Mapping[str, str]]:
    """One cycle by digests, some of whose changes failed: the state after it, and what rows agree on."""
    made, part, focus = _by_digests(snapshot, state, policy, agreed)
    assert made == planned(snapshot, state, policy)
    after, new = _applied(snapshot, state, part, policy, focus, made, failing)
    return after, {**agreed, **new}


def _by_digests(
    snapshot: Snapshot, state: State, policy: Policy, agreed: Mapping[str, str]
) -> tuple[Plan, State, Focus]:
    focus = _unsettled(snapshot, state, policy, agreed)
    part = part_of_state(state, digests.part_to_load(snapshot, focus), policy, focus)
    others = (row for row in state.users.values() if row.id not in part.users)
    has_admin = any(row.is_admin and row.active and row.deleted_at is None for row in others)
    part = replace(part, has_admin_elsewhere=state.has_admin_elsewhere or has_admin)
    return planned(snapshot, part, policy, focus), part, focus


@thorough
@given(plan_inputs)
def test_after_a_cycle_that_left_nothing_open_everybody_entitled_agrees(inputs: PlanInputs) -> None:
    """The next full cycle looks closely at nobody whom Entra shows as before."""
    snapshot, state, policy = inputs
    snapshot = _as_read(snapshot, policy)
    made = planned(snapshot, state, policy)
    after, agreed = _applied(snapshot, state, state, policy, None, made, [])
    whole = planned(snapshot, after, policy)
    focus = _unsettled(snapshot, after, policy, agreed)
    entitlement = entitlement_of(snapshot, policy)
    blamed = {
        finding.subject.graph_id for finding in (*planned(snapshot, state, policy).findings, *whole.findings)
    }
    young = {row.entra_object_id for row in state.users.values() if row.last_modified > snapshot.taken_at}
    linked = {row.entra_object_id for row in after.users.values() if row.active and row.deleted_at is None}
    if not blamed and entitlement.is_whole and not focus.rows and not young and not made.again:
        assert not (focus.users & entitlement.entitled & linked)


def _as_read(snapshot: Snapshot, policy: Policy) -> Snapshot:
    """The snapshot as the reader makes it: users and members in arrays, nesting only where the policy asks for it."""
    ids = ObjectIds()
    users = UserTable(ids, lambda place: dict(snapshot.users[ids.known[place]].properties))
    for user in snapshot.users.values():
        if user.account_enabled is None:
            users.put_other(user)
            continue
        said = repr((user.account_enabled, user.manager_id, sorted(user.properties.items())))
        digest = blake2b(said.encode(), digest_size=16, key=digests.policy_key(policy)).digest()
        users.put(user.id, user.account_enabled, user.manager_id, digest, ids.number_of(user.id))
    members, nested = MemberLists(ids), MemberLists(ids)
    members.update(snapshot.members)
    if policy.membership is MembershipMode.TRANSITIVE:
        nested.update(snapshot.nested_members)
    return replace(snapshot, users=users, members=members, nested_members=nested)


def _applied(
    snapshot: Snapshot,
    state: State,
    part: State,
    policy: Policy,
    focus: Focus | None,
    made: Plan,
    failing: list[bool],
) -> tuple[State, Mapping[str, str]]:
    """The state after a plan some of whose changes failed, and what its rows agreed on."""
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
    looked = ComparedState(snapshot, entitlement_of(snapshot, policy), part, focus, made, done, versions)
    found = [*digests.unchanged_users(looked), *digests.unchanged_groups(looked)]
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
        was = before.groups.get(group_id)
        is_touched = before.members.get(group_id, frozenset()) != after.members.get(group_id, frozenset())
        # Who comes back goes on from the version it had: an old agreement never fits again.
        version = max(group.version, was.version if was else 0) + 1
        groups[group_id] = structs.replace(group, version=version) if is_touched or was != group else group
    return replace(after, users=users, groups=groups)


def _raised(before: User | None, row: User) -> User:
    return row if before is None or row == before else structs.replace(row, version=before.version + 1)


@st.composite
def edited(draw: st.DrawFn, state: State) -> State:
    """Pushes and people at work, on accounts and on groups."""
    users: dict[UserId, User] = {}
    for held_row in state.users.values():
        here = _edited_user(held_row, draw(st.sampled_from(USER_EDITS)))
        users[here.id] = here
    if draw(RARELY):
        made = row("made", name="made@corp.example", external_id=draw(st.sampled_from(STAFF)))
        users[made.id] = made
    groups = {
        i: _edited_group(group, draw(st.sampled_from(GROUP_EDITS))) for i, group in state.groups.items()
    }
    living = {row.id for rows in (users, groups) for row in rows.values() if row.deleted_at is None}
    members: dict[GroupId, frozenset[str]] = {}
    for group_id, before in state.members.items():
        held = before & living if group_id in living else frozenset[str]()
        is_left = draw(RARELY)
        members[group_id] = frozenset(sorted(held)[1:]) if is_left else held
        if members[group_id] != before:
            groups[group_id] = structs.replace(groups[group_id], version=groups[group_id].version + 1)
    after = replace(state, users=users, groups=groups, members=members)
    return after if _is_unique(after) else state


USER_EDITS = [
    *["left alone"] * 14,
    *["an admin"] * 4,
    *("titled", "switched", "deleted", "protected", "made again", "renamed", "unlinked"),
]
GROUP_EDITS = [*["left alone"] * 4, "renamed", "deleted", "unlinked"]


def _edited_user(user: User, edit: str) -> User:
    if user.deleted_at is not None:
        return user
    version = user.version + 1
    match edit:
        case "titled":
            return structs.replace(user, document={**user.document, "title": "Guest"}, version=version)
        case "switched":
            return structs.replace(user, active=not user.active, version=version)
        case "deleted":
            return structs.replace(user, active=False, deleted_at=NOW, version=version)
        case "protected":
            return structs.replace(user, is_protected=True)
        case "an admin":
            return structs.replace(user, is_admin=True)
        case "made again":
            return structs.replace(user, id=UserId(f"again-{user.id}"))
        case "renamed":
            name = f"x-{user.user_name}"
            return structs.replace(
                user, user_name=name, document={**user.document, "userName": name}, version=version
            )
        case "unlinked":
            return structs.replace(user, entra_object_id=None, version=version)
    return user


def _edited_group(group: Group, edit: str) -> Group:
    if group.deleted_at is not None or edit == "left alone":
        return group
    version = group.version + 1
    if edit == "renamed":
        return structs.replace(group, display_name="Blue", version=version)
    if edit == "deleted":
        return structs.replace(group, deleted_at=NOW, version=version)
    return structs.replace(group, entra_object_id=None, version=version)


def _is_unique(state: State) -> bool:
    """Whether the store would allow it: names and links are unique among the living."""
    users = [user for user in state.users.values() if user.deleted_at is None]
    groups = [group for group in state.groups.values() if group.deleted_at is None]
    keys = [f"user {user.user_name.lower()}" for user in users]
    keys += [f"group {group.display_name.lower()}" for group in groups]
    rows: tuple[User | Group, ...] = (*users, *groups)
    keys += [f"link {row.entra_object_id}" for row in rows if row.entra_object_id]
    return len(keys) == len(set(keys))


def _unsettled(snapshot: Snapshot, state: State, policy: Policy, agreed: Mapping[str, str]) -> Focus:
    def glances(rows: Mapping[UserId, User] | Mapping[GroupId, Group]) -> list[RowSummary]:
        return [
            RowSummary(
                r.id,
                r.entra_object_id,
                r.version,
                agreed.get(r.id),
                r.active if isinstance(r, User) else True,
            )
            for r in rows.values()
            if r.deleted_at is None
        ]

    entitlement = entitlement_of(snapshot, policy)
    focus = digests.possibly_changed(snapshot, entitlement, glances(state.users), glances(state.groups))
    free = [row for row in state.users.values() if row.id in focus.rows]
    return focus | digests.rematch_candidates(snapshot, policy, free)
