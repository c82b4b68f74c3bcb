"""Plan memberships of users who are active, or will be by this plan.

The membership of a user who loses access is left as it is. In Entra a disabled or
soft-deleted user stays a member, and the push sends no removal; access is over either
way. So nothing is taken twice, a returning user has the memberships back, and then the
comparison starts again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from store.records import Action, DriftKind, GraphId, GroupId, SubjectType, User, UserId
from worker.reconcile.entitlement import NESTED_NOTE
from worker.reconcile.plan import Absentee, Change, Finding, Subject
from worker.reconcile.plan_context import PlanContext, group_subject, user_subject
from worker.reconcile.planning.groups import PlannedGroups
from worker.reconcile.planning.users import PlannedUsers

_NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PlannedMemberships:
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    absentees: tuple[Absentee, ...]
    again: frozenset[str] = frozenset()
    """Rows of members who came or went, of groups that were changed here after reading
    began; and of members who were changed since then, and that Entra may not have in a
    group any more.
    """


@dataclass(frozen=True, slots=True)
class _Planned:
    """What was planned before memberships are compared."""

    context: PlanContext
    people: PlannedUsers
    groups: PlannedGroups
    leaving: frozenset[str]
    """Rows that this plan disables or retires."""
    members: dict[GraphId, Subject]
    """Subjects by object: groups, new users, and others on demand.

    Half a million additions share them.
    """


def plan_memberships(context: PlanContext, people: PlannedUsers, groups: PlannedGroups) -> PlannedMemberships:
    """Plan the memberships of all groups that are here, or will be by this plan."""
    leaving = people.retired.union(change.subject.local_id or "" for change in people.leavers.changes)
    planned = _Planned(context, people, groups, leaving, {**groups.subjects, **people.arriving})
    changes: list[Change] = []
    extra: list[tuple[Subject, Subject]] = []
    again: set[str] = set()
    for graph_id, group in groups.subjects.items():
        row = context.state.groups.get(GroupId(group.local_id or ""))
        wanted = _wanted(planned, graph_id)
        held = context.state.members.get(GroupId(group.local_id or ""), _NOBODY)
        missing = sorted((wanted[m], m) for m in wanted.keys() - held)
        is_whole = context.entitlement.is_whole and graph_id not in context.entitlement.unreadable
        surplus = list(_extra(planned, graph_id, held - wanted.keys())) if is_whole else []
        # A push that changed the group since reading began may be newer (invariant I7).
        if row is not None and context.is_changed_after_reading(row):
            left = [*missing, *((m.graph_id, m.local_id) for m in surplus)]
            again |= {row_id for m, row_id in left if row_id and _is_about(context, group, m, row_id)}
            continue
        again.update(_touched(context, held - wanted.keys()) if is_whole else ())
        changes += (_addition(planned, group, m, local_id) for m, local_id in missing)
        extra += ((group, m) for m in surplus)
    return replace(_with_removals(context, changes, extra), again=frozenset(again))


def _touched(context: PlanContext, members: Iterable[str]) -> Iterator[str]:
    """Yield users whose membership was not compared: they changed since the reading.

    The group counts as compared after this cycle: these rows have to bring it up again.
    """
    for member_id in members:
        user = context.state.users.get(UserId(member_id))
        if user is not None and context.is_changed_after_reading(user):
            yield user.id


def _is_about(context: PlanContext, group: Subject, member: GraphId | None, local_id: str) -> bool:
    if context.focus is None or context.is_about_group(group.graph_id, group.local_id):
        return True
    return context.focus.has_user(member, local_id) or context.focus.has_group(member, local_id)


def _with_removals(
    context: PlanContext, changes: list[Change], extra: list[tuple[Subject, Subject]]
) -> PlannedMemberships:
    findings: list[Finding] = []
    absentees: list[Absentee] = []
    for group, member in extra:
        row = context.state.users.get(UserId(member.local_id or ""))
        if row is not None and row.is_guarded:
            detail = f"{member.label} is not a member in Entra; the account is protected"
            findings.append(Finding(DriftKind.MEMBERSHIP_EXTRA, group, detail, (row.id,)))
            continue
        changes.append(
            Change(
                DriftKind.MEMBERSHIP_EXTRA,
                Action.REMOVE_MEMBER,
                group,
                member=member,
                expected_version=_version(context, group),
            )
        )
        # A nested group is asked for as well: a list of members that came short takes
        # no group out either.
        absentees.append(Absentee(member if row is None else user_subject(row, member.graph_id)))
    return PlannedMemberships(tuple(changes), tuple(findings), tuple(absentees))


def _wanted(planned: _Planned, graph_id: GraphId) -> Mapping[str, GraphId]:
    """Return the members in Entra by row id: active users, and nested groups that are
    assigned too.

    A group is no member of itself here (`store.lifecycle` refuses it), even if Entra's
    groups form a circle.
    """
    members = planned.context.entitlement.members[graph_id]
    people, groups = planned.people.active, planned.groups.subjects
    wanted = {people[m]: m for m in members if m in people}
    nested = ((groups[m].local_id, m) for m in (members & groups.keys()) - {graph_id})
    return wanted | {local_id: m for local_id, m in nested if local_id}


def _addition(planned: _Planned, group: Subject, graph_id: GraphId, local_id: str) -> Change:
    member = planned.members.get(graph_id)
    if member is None:
        label = planned.context.user_name(graph_id) or graph_id
        member = Subject(SubjectType.USER, graph_id, local_id, label)
        planned.members[graph_id] = member
    is_nested = graph_id not in planned.context.snapshot.members[group.graph_id or GraphId("")]
    note = NESTED_NOTE if is_nested else ""
    version = _version(planned.context, group)
    return Change(
        DriftKind.MEMBERSHIP_MISSING,
        Action.ADD_MEMBER,
        group,
        member=member,
        expected_version=version,
        note=note,
    )


def _version(context: PlanContext, group: Subject) -> int | None:
    """Return the version of the group at which its members were compared.

    A push to the group since then takes precedence.
    """
    row = context.state.groups.get(GroupId(group.local_id or ""))
    return None if row is None else row.version


def _extra(planned: _Planned, graph_id: GraphId, held: frozenset[str]) -> Iterator[Subject]:
    """Yield members here that Entra certainly does not show as members of the group."""
    state = planned.context.state
    shown = planned.context.entitlement.members[graph_id]
    for member_id in held:
        user = state.users.get(UserId(member_id))
        group = state.groups.get(GroupId(member_id))
        if user is not None and _is_comparable(planned, user):
            owner = planned.people.matches.owners.get(user.id) or user.entra_object_id
            if owner not in shown:
                yield user_subject(user, owner)
        # A nested group that is about to be deleted, or was made here, is not compared.
        elif group is not None and group.id in planned.groups.matches.owners:
            yield group_subject(group, planned.groups.matches.owners[group.id])


def _is_comparable(planned: _Planned, row: User) -> bool:
    """Return whether Entra decides on a row's membership and the snapshot can tell."""
    held = row.entra_object_id if planned.context.has_holder(row) else None
    owner = planned.people.matches.owners.get(row.id) or held
    stays_active = row.id not in planned.leaving and (row.active or owner in planned.people.active)
    is_known = (
        row.id not in planned.people.matches.contested and not planned.context.is_changed_after_reading(row)
    )
    # Whose an account without holder is, only names say: they take nothing.
    is_decided = owner is not None and owner not in planned.context.entitlement.undecided
    return row.deleted_at is None and stays_active and is_known and is_decided
