"""A plan for a focus, made from no more than the focus needs, is that part of the whole plan."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from store.records import Action, CycleKind, DriftKind, GraphId, MembershipMode, Policy
from tests.builders.reconcile.partial_state import part_of_state
from tests.builders.reconcile.plan_inputs import GROUPS, PEOPLE, PlanInputs, plan_inputs
from tests.builders.reconcile.snapshots import planned
from worker.reconcile.dependencies import Lookup, missing_reads
from worker.reconcile.mapping.attribute_mapping import compile_mapping
from worker.reconcile.plan import Change, Finding, Plan, Subject
from worker.reconcile.planning.leavers import MAY_BE_ANOTHERS
from worker.reconcile.planning.withheld_links import LINK_WITHHELD
from worker.reconcile.snapshot import Focus, Snapshot
from worker.reconcile.state import State

focuses = st.builds(
    Focus,
    st.frozensets(st.sampled_from(PEOPLE).map(GraphId), max_size=2),
    st.frozensets(st.sampled_from(GROUPS).map(GraphId), max_size=1),
    st.frozensets(st.sampled_from(["row0", "row1", "group0"]), max_size=1),
)
thorough = settings(
    max_examples=200, report_multiple_bugs=False, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@thorough
@given(plan_inputs, focuses)
def test_a_focused_plan_of_a_part_is_the_focused_part_of_the_whole_plan(
    inputs: PlanInputs, asked: Focus
) -> None:
    """The same core decides an increment, a demand and a full cycle; how much each read must not matter."""
    snapshot, state, policy = _with_admins_elsewhere(inputs)
    focus, part, rows = _read(snapshot, state, policy, asked)
    narrow, whole = planned(part, rows, policy, focus), planned(snapshot, state, policy, focus)
    assume(not _doubts_names(whole))
    assert _of_known_holders(narrow) == _of_known_holders(whole)


def _doubts_names(plan: Plan) -> bool:
    """Whether somebody entitled is left without an account: only a reading of everybody can tell, and links less."""
    is_withheld = any(finding.detail == LINK_WITHHELD for finding in plan.findings)
    return is_withheld or any(change.hold_reason == MAY_BE_ANOTHERS for change in plan.changes)


def _of_known_holders(plan: Plan) -> tuple[list[Change], list[Finding]]:
    """What is decided about accounts whose holder is known: who else answers to an account only a reading of
    everybody can tell, so about those a narrow reading may decide less."""
    without = {DriftKind.UNMATCHED_ACCOUNT, DriftKind.LOCAL_ACCOUNT, DriftKind.MATCH_CONFLICT}
    changes = [c for c in plan.changes if c.kind not in without and not c.claimants and not c.hold_reason]
    return changes, [f for f in plan.findings if f.kind not in without]


@thorough
@given(plan_inputs, focuses)
def test_a_focus_chooses_from_the_whole_plan_and_adds_nothing_of_its_own(
    inputs: PlanInputs, asked: Focus
) -> None:
    """Whatever concerns a subject in focus is in the plan, and nothing that the whole plan has not.

    But for members whom the whole takes their access instead: a group in focus says nothing of a row that nobody has.
    """
    snapshot, state, policy = _with_admins_elsewhere(inputs)
    focus, _, _ = _read(snapshot, state, policy, asked)
    focused, whole = planned(snapshot, state, policy, focus), planned(snapshot, state, policy)
    assume(not _doubts_names(whole) and not _doubts_names(focused))
    leaving = {change.subject for change in whole.changes if change.action is Action.DISABLE}
    own = [change for change in focused.changes if change.member not in leaving]
    assert set(map(repr, own)) <= set(map(repr, whole.changes))
    assert set(focused.findings) <= set(whole.findings)
    assert set(focused.absentees) <= set(whole.absentees)
    made = {c.subject for c in whole.changes if c.kind is DriftKind.GROUP_MISSING or c.action is Action.LINK}
    assert set(map(repr, _concerning(whole, focus, made))) <= set(map(repr, focused.changes))


def _concerning(whole: Plan, focus: Focus, made: Collection[Subject]) -> Iterator[Change]:
    """What is surely about the focus: a group is made, or linked, for its own sake, not for a member's or a holder's."""
    asked = {*focus.users, *focus.groups, *focus.rows}
    for change in whole.changes:
        ends = [end for end in (change.subject, change.member) if end]
        in_focus = [end for end in ends if {end.graph_id, end.local_id} & asked]
        if in_focus and not any(end in made and end not in in_focus for end in ends):
            yield change


def _with_admins_elsewhere(inputs: PlanInputs) -> PlanInputs:
    """Who of several leaving admins stays is the whole connection's to say: a focus takes the others to stay."""
    snapshot, state, policy = inputs
    return snapshot, replace(state, has_admin_elsewhere=True), policy


# --- What is read and loaded for a focus, as the reader and the store do it


def _read(snapshot: Snapshot, state: State, policy: Policy, focus: Focus) -> tuple[Focus, Snapshot, State]:
    """Reads and loads for a focus until nothing that matters is missing."""
    looked: frozenset[Lookup] = frozenset()
    while True:
        focus = _with_namesakes(snapshot, state, policy, focus)
        part = _part_of_snapshot(snapshot, policy, focus)
        rows = part_of_state(state, part, policy, focus)
        missing = missing_reads(part, rows, policy, focus, looked)
        if not missing:
            return focus, part, rows
        looked |= missing.lookups
        found = frozenset(
            g
            for g in {*snapshot.users, *snapshot.deleted}
            for lookup in missing.lookups
            if _answers(snapshot, g, lookup)
        )
        focus |= Focus(missing.users | found, missing.groups, missing.rows)


def _with_namesakes(snapshot: Snapshot, state: State, policy: Policy, focus: Focus) -> Focus:
    """Entra's names are unique, those of these inputs are not: namesakes stand or fall together here."""
    read = compile_mapping(policy).user_name.read
    part = _part_of_snapshot(snapshot, policy, focus)
    names = {str(read(user)).lower() for user in part.users.values()}
    same = {g for g, user in snapshot.users.items() if str(read(user)).lower() in names}
    brought = part.users.keys() if policy.membership is MembershipMode.TRANSITIVE else set()
    titles = {group.display_name.lower() for g, group in part.groups.items() if g in focus.groups}
    groups = {g for g, group in snapshot.groups.items() if group.display_name.lower() in titles}
    linked = {r.entra_object_id for r in state.groups.values() if r.id in focus.rows and r.entra_object_id}
    people = {r.entra_object_id for r in state.users.values() if r.id in focus.rows and r.entra_object_id}
    more = focus | Focus(frozenset({*same, *brought, *people}), frozenset({*groups, *linked}))
    return more if more == focus else _with_namesakes(snapshot, state, policy, more)


def _answers(snapshot: Snapshot, graph_id: GraphId, lookup: Lookup) -> bool:
    name, value = lookup
    user = snapshot.users.get(graph_id)
    # The ids of these inputs have not the form by which an externalId is known for one.
    return value.lower() in (graph_id, str(user.properties.get(name)).lower() if user else None)


def _part_of_snapshot(snapshot: Snapshot, policy: Policy, focus: Focus) -> Snapshot:
    whole = focus.groups & snapshot.groups.keys()
    brought = frozenset[GraphId]().union(*(snapshot.members[g] for g in whole))
    if policy.membership is MembershipMode.TRANSITIVE:
        brought = brought.union(*(snapshot.nested_members[g] for g in whole))
    asked = focus.users | focus.groups
    people = focus.users | brought
    members = {g: m if g in whole else m & asked for g, m in snapshot.members.items()}
    nested = {g: m if g in whole else m & asked for g, m in snapshot.nested_members.items()}
    return replace(
        snapshot,
        kind=CycleKind.INCREMENTAL,
        users={g: user for g, user in snapshot.users.items() if g in people},
        assignments=tuple(
            a for a in snapshot.assignments if a.principal_id in people | snapshot.groups.keys()
        ),
        members=members,
        nested_members=nested,
        deleted={g: at for g, at in snapshot.deleted.items() if g in people},
    )
