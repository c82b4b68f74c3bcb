"""The plan for a whole connection, and for one subject of it."""

from __future__ import annotations

from datetime import datetime

from store.records import Action, GraphId, Policy, SubjectType
from worker.reconcile.facts import Facts, facts_of
from worker.reconcile.groups import plan_groups
from worker.reconcile.memberships import plan_memberships
from worker.reconcile.people import plan_people
from worker.reconcile.plan import Change, Finding, Plan
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import State


def plan(snapshot: Snapshot, state: State, policy: Policy, now: datetime) -> Plan:
    """Gives every change that would make the state agree with the snapshot.

    Raises `PolicyError` for a mapping or a scoping filter that makes no sense. `now` is only written down.
    """
    return _plan(facts_of(snapshot, state, policy), now)


def plan_subject(snapshot: Snapshot, state: State, policy: Policy, now: datetime, reference: str) -> Plan:
    """Gives the part of the plan that concerns one user or group, by Graph id or by our own.

    For a user: the row and its memberships. For a group: the group, its memberships, and the users it brings in.
    The snapshot may hold that subject only. Raises `PolicyError`.
    """
    facts = facts_of(snapshot, state, policy)
    whole = _plan(facts, now)
    members = facts.standing.members.get(GraphId(reference), frozenset())
    wanted = {reference, *members}

    def concerns(change: Change) -> bool:
        if change.subject.type is SubjectType.GROUP:
            people = () if change.member is None else (change.member.graph_id, change.member.local_id)
            return reference in (change.subject.graph_id, change.subject.local_id, *people)
        return change.subject.graph_id in wanted or change.subject.local_id == reference

    part = whole.subset(filter(concerns, whole.changes))
    findings = (f for f in whole.findings if {f.subject.graph_id, f.subject.local_id} & wanted)
    return Plan(part.connection_id, part.changes, tuple(findings), part.absentees, now)


def _plan(facts: Facts, now: datetime) -> Plan:
    people = plan_people(facts)
    groups = plan_groups(facts)
    memberships = plan_memberships(facts, people, groups)
    absentees = {a.subject.key: a for a in (*memberships.absentees, *people.leavers.absentees)}
    return Plan(
        facts.state.connection_id,
        tuple(sorted((*people.changes, *groups.changes, *memberships.changes), key=_order)),
        tuple(sorted((*people.findings, *groups.findings, *memberships.findings), key=_finding_order)),
        tuple(absentees[key] for key in sorted(absentees)),
        now,
    )


_ORDER = {
    (Action.LINK, SubjectType.USER): 0,
    (Action.LINK, SubjectType.GROUP): 1,
    # A rename may free the userName that a newcomer takes.
    (Action.UPDATE, SubjectType.USER): 2,
    (Action.CREATE, SubjectType.USER): 3,
    (Action.RESTORE, SubjectType.USER): 3,
    (Action.ENABLE, SubjectType.USER): 4,
    (Action.UPDATE, SubjectType.GROUP): 5,
    (Action.CREATE, SubjectType.GROUP): 6,
    (Action.ADD_MEMBER, SubjectType.GROUP): 7,
    (Action.DISABLE, SubjectType.USER): 8,
    (Action.REMOVE_MEMBER, SubjectType.GROUP): 9,
    (Action.DELETE, SubjectType.GROUP): 10,
}


def _order(change: Change) -> tuple[int, str, str]:
    member = change.member.key if change.member else ""
    return _ORDER[change.action, change.subject.type], change.subject.key, member


def _finding_order(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.subject.key, finding.detail
