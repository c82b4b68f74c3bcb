"""Plan a whole connection, or a focus: some of its subjects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from store.records import Action, DriftKind, GraphId, Policy, SubjectType, User, UserId
from worker.reconcile.entitlement import Entitlement
from worker.reconcile.plan import Absentee, Change, Finding, Plan, Subject
from worker.reconcile.plan_context import PlanContext, build_context
from worker.reconcile.planning.groups import PlannedGroups, plan_groups
from worker.reconcile.planning.memberships import PlannedMemberships, plan_memberships
from worker.reconcile.planning.push_conflicts import judge_conflicts
from worker.reconcile.planning.users import PlannedUsers, plan_users
from worker.reconcile.snapshot import Focus, Snapshot
from worker.reconcile.state import State


def plan(
    snapshot: Snapshot,
    state: State,
    policy: Policy,
    now: datetime,
    entitlement: Entitlement,
    focus: Focus | None = None,
) -> Plan:
    """Return every change that would make the state agree with the snapshot, within the
    focus.

    With a focus, snapshot and state may hold no more than it needs
    (`dependencies.missing_reads` says what is missing), and the plan is the part of the
    whole one that concerns it. For a user: the row, and its memberships of groups that
    are here. For a group: the group, its memberships, and the rows of its members. A
    group that is not here yet is created only if it is in focus itself, not because a
    member is.

    `entitlement` is the snapshot's, under this policy. `now` is only written down.
    Raises `PolicyError` for a mapping or a scoping filter that makes no sense.
    """
    if focus == Focus():
        return Plan(state.connection_id, (), made_at=now)
    parts = _parts(snapshot, state, policy, entitlement, focus)
    whole = parts.plan(now)
    return whole if focus is None else parts.focused(whole)


@dataclass(frozen=True, slots=True)
class _Parts:
    context: PlanContext
    people: PlannedUsers
    groups: PlannedGroups
    memberships: PlannedMemberships

    def plan(self, now: datetime) -> Plan:
        people, groups, memberships = self.people, self.groups, self.memberships
        conflicts = judge_conflicts(self.context)
        gone = (
            *memberships.absentees,
            *people.leavers.absentees,
            *groups.absentees,
            *_earlier_holders(people.changes),
        )
        absentees = {absentee.subject.key: absentee for absentee in gone}
        return Plan(
            self.context.state.connection_id,
            tuple(sorted((*people.changes, *groups.changes, *memberships.changes), key=_order)),
            tuple(
                sorted(
                    (*people.findings, *groups.findings, *memberships.findings, *conflicts.findings),
                    key=_finding_order,
                )
            ),
            tuple(absentees[key] for key in sorted(absentees)),
            now,
            memberships.again.union(self._left_alone()),
            people.unsettled,
            people.missing_holders,
            people.agreed_names,
            conflicts.looked_at,
            conflicts.standing,
            None if self.context.snapshot.is_of_subjects else self.context.mapping_verdict,
        )

    def _left_alone(self) -> Iterator[str]:
        """Yield rows that were changed here after reading began, and the last admin who
        left: another account that becomes one names no other.

        Groups, which are costly to read again, only if they differ.
        """
        context, spared = self.context, self.people.leavers.spared
        if spared is not None:
            yield spared
        for user in filter(context.is_changed_after_reading, context.state.users.values()):
            if context.is_about_user(self._owner(user), user.id):
                yield user.id
        for group in filter(context.is_changed_after_reading, context.state.groups.values()):
            owner = self.groups.matches.owners.get(group.id)
            is_other = owner is None or context.snapshot.groups[owner].display_name != group.display_name
            if is_other and context.is_about_group(owner or group.entra_object_id, group.id):
                yield group.id

    def focused(self, whole: Plan) -> Plan:
        """Return the part of the plan that concerns the focus.

        The rest served to match rows and to keep names apart.
        """
        part = whole.subset(filter(self._concerns, whole.changes))
        return replace(part, findings=tuple(filter(self._is_about, whole.findings)))

    def _concerns(self, change: Change) -> bool:
        subject, member = change.subject, change.member
        if subject.type is SubjectType.USER:
            return self.context.is_about_user(subject.graph_id, subject.local_id)
        if self.context.is_about_group(subject.graph_id, subject.local_id):
            return True
        focus = self.context.focus or Focus()
        if member is None or member.type is SubjectType.GROUP:
            return member is not None and focus.has_group(member.graph_id, member.local_id)
        # A member of a group in focus has its row in the plan, but not its other
        # groups.
        return focus.has_user(member.graph_id, member.local_id)

    def _is_about(self, finding: Finding) -> bool:
        subject = finding.subject
        if finding.kind is DriftKind.MAPPING_MISMATCH:
            return True  # about the connection, counted over the rows in focus
        if subject.type is SubjectType.USER:
            return self.context.is_about_user(subject.graph_id, subject.local_id)
        # A finding on a membership has the group as subject and the member's row as
        # candidate.
        rows = (self.context.state.users.get(UserId(candidate)) for candidate in finding.candidates)
        focus = self.context.focus or Focus()
        members = (focus.has_user(self._owner(row), row.id) for row in rows if row is not None)
        return self.context.is_about_group(subject.graph_id, subject.local_id) or any(members)

    def _owner(self, row: User) -> GraphId | None:
        return self.people.matches.owners.get(row.id) or row.entra_object_id


def _parts(
    snapshot: Snapshot, state: State, policy: Policy, entitlement: Entitlement, focus: Focus | None
) -> _Parts:
    context = build_context(snapshot, state, policy, entitlement, focus)
    groups = plan_groups(context)
    context = replace(
        context, members_in_focus=frozenset[GraphId]().union(*_members_in_focus(context, groups))
    )
    people = plan_users(context)
    return _Parts(context, people, groups, plan_memberships(context, people, groups))


def _earlier_holders(changes: Iterable[Change]) -> Iterator[Absentee]:
    """Yield the people who seem gone, and whose accounts go to others."""
    for change in changes:
        if change.departed is not None:
            yield Absentee(Subject(SubjectType.USER, change.departed, None, change.subject.label))


def _members_in_focus(context: PlanContext, groups: PlannedGroups) -> Iterator[frozenset[GraphId]]:
    for group_id, members in context.entitlement.members.items() if context.focus else ():
        if context.is_about_group(group_id, groups.matches.rows.get(group_id)):
            yield members


_ORDER = {
    # The person's other account is linked then.
    (Action.RETIRE, SubjectType.USER): -1,
    (Action.LINK, SubjectType.USER): 0,
    (Action.CHANGE_HOLDER, SubjectType.USER): 0,
    (Action.UNSEAL, SubjectType.USER): 1,
    # The name of a user who is gone is another's.
    (Action.RELEASE_NAMES, SubjectType.USER): 1,
    (Action.LINK, SubjectType.GROUP): 1,
    # A rename may free the userName that a new user gets.
    (Action.UPDATE, SubjectType.USER): 2,
    (Action.CREATE, SubjectType.USER): 3,
    (Action.RESTORE, SubjectType.USER): 3,
    (Action.ENABLE, SubjectType.USER): 4,
    # A deleted group may free the displayName to which another is renamed.
    (Action.DELETE, SubjectType.GROUP): 5,
    (Action.UPDATE, SubjectType.GROUP): 6,
    (Action.CREATE, SubjectType.GROUP): 7,
    (Action.RESTORE, SubjectType.GROUP): 7,
    (Action.ADD_MEMBER, SubjectType.GROUP): 8,
    (Action.DISABLE, SubjectType.USER): 9,
    (Action.REMOVE_MEMBER, SubjectType.GROUP): 10,
}


def _order(change: Change) -> tuple[int, str, str, str]:
    """Order by kind, then by name.

    Four of the indexes that a new row goes into are in that order, or nearly so.
    """
    subject, member = change.subject, change.member
    return _ORDER[change.action, subject.type], subject.label, subject.key, member.key if member else ""


def _finding_order(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.subject.key, finding.detail
