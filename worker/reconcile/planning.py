"""The plan for a whole connection, and for one subject of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from store.records import Action, DriftKind, GraphId, Policy, SubjectType
from worker.reconcile.facts import Facts, facts_of
from worker.reconcile.groups import Groups, plan_groups
from worker.reconcile.memberships import Memberships, plan_memberships
from worker.reconcile.people import People, plan_people
from worker.reconcile.plan import Change, Finding, Plan
from worker.reconcile.snapshot import Snapshot
from worker.reconcile.state import State


def plan(snapshot: Snapshot, state: State, policy: Policy, now: datetime) -> Plan:
    """Gives every change that would make the state agree with the snapshot.

    Raises `PolicyError` for a mapping or a scoping filter that makes no sense. `now` is only written down.
    """
    return _parts(snapshot, state, policy).plan(now)


def plan_subject(snapshot: Snapshot, state: State, policy: Policy, now: datetime, reference: str) -> Plan:
    """Gives the part of the plan that concerns one user or group, by Graph id or by our own.

    For a user: the row, and its memberships of groups that are here. For a group: the group, its memberships,
    and the users whom it brings in. The snapshot may hold that subject only. Raises `PolicyError`.
    """
    parts = _parts(snapshot, state, policy, reference)
    whole = parts.plan(now)
    group_id = parts.groups.claims.owners.get(reference, GraphId(reference))
    brought = parts.facts.standing.members.get(group_id, frozenset())
    created = {change.subject.local_id for change in whole.changes if change.kind is DriftKind.GROUP_MISSING}

    def concerns(change: Change) -> bool:
        subject, member = change.subject, change.member
        if reference in (subject.graph_id, subject.local_id):
            return True
        if member is None:
            return subject.type is SubjectType.USER and subject.graph_id in brought
        # A group that is not here yet is made by a cycle, or by itself: not by one of its members.
        return subject.local_id not in created and reference in (member.graph_id, member.local_id)

    def is_about(finding: Finding) -> bool:
        subject = finding.subject
        return reference in (subject.graph_id, subject.local_id) or subject.graph_id in brought

    part = whole.subset(filter(concerns, whole.changes))
    return replace(part, findings=tuple(filter(is_about, whole.findings)))


@dataclass(frozen=True, slots=True)
class _Parts:
    facts: Facts
    people: People
    groups: Groups
    memberships: Memberships

    def plan(self, now: datetime) -> Plan:
        people, groups, memberships = self.people, self.groups, self.memberships
        gone = (*memberships.absentees, *people.leavers.absentees, *groups.absentees)
        absentees = {absentee.subject.key: absentee for absentee in gone}
        return Plan(
            self.facts.state.connection_id,
            tuple(sorted((*people.changes, *groups.changes, *memberships.changes), key=_order)),
            tuple(sorted((*people.findings, *groups.findings, *memberships.findings), key=_finding_order)),
            tuple(absentees[key] for key in sorted(absentees)),
            now,
        )


def _parts(snapshot: Snapshot, state: State, policy: Policy, reference: str | None = None) -> _Parts:
    facts = facts_of(snapshot, state, policy, reference)
    people = plan_people(facts)
    groups = plan_groups(facts)
    return _Parts(facts, people, groups, plan_memberships(facts, people, groups))


_ORDER = {
    (Action.LINK, SubjectType.USER): 0,
    (Action.LINK, SubjectType.GROUP): 1,
    # A rename may free the userName that a newcomer takes.
    (Action.UPDATE, SubjectType.USER): 2,
    (Action.CREATE, SubjectType.USER): 3,
    (Action.RESTORE, SubjectType.USER): 3,
    (Action.ENABLE, SubjectType.USER): 4,
    # And a group that goes may free the displayName that another is renamed to.
    (Action.DELETE, SubjectType.GROUP): 5,
    (Action.UPDATE, SubjectType.GROUP): 6,
    (Action.CREATE, SubjectType.GROUP): 7,
    (Action.RESTORE, SubjectType.GROUP): 7,
    (Action.ADD_MEMBER, SubjectType.GROUP): 8,
    (Action.DISABLE, SubjectType.USER): 9,
    (Action.REMOVE_MEMBER, SubjectType.GROUP): 10,
}


def _order(change: Change) -> tuple[int, str, str]:
    member = change.member.key if change.member else ""
    return _ORDER[change.action, change.subject.type], change.subject.key, member


def _finding_order(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.subject.key, finding.detail
