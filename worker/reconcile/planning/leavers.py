"""Find accounts that have access here and should not: the heart of the product.

| the row                                | is                                        |
|----------------------------------------|-------------------------------------------|
| of a user who is not entitled          | a missed deprovision                      |
| without holder, and no user who answers| a missed deprovision; held if only names  |
| to it is entitled                      | say so and the mapping is not known to fit|
| pushed, without holder, and no user    | an unmatched account: always held         |
| answers to it                          |                                           |
| made here, and no user answers to it   | a local account: reported, disabled only  |
|                                        | if the policy says so                     |
| changed since reading                  | left alone                                |
| protected, or the last admin           | reported, never disabled                  |
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from store.records import Action, CycleKind, DriftKind, GraphId, Origin, Reason, SubjectType, User
from worker.reconcile.mapping.account_search import AccountSearch, search_for
from worker.reconcile.plan import Absentee, Change, Finding, Subject
from worker.reconcile.plan_context import PlanContext, user_subject
from worker.reconcile.planning.matches import PUSHED, Matches, is_linkable, object_id_in

NOBODY_ANSWERS = (
    "Nobody in Entra answers to it: its userName, externalId, employeeNumber and e-mail addresses were looked for "
    "among all people, deleted ones too. That proves nothing about the person; decide about the account."
)

NOBODY_FOUND = "Nobody in Entra was found for this account. That proves nothing about the person; decide about the account."


MAY_BE_ANOTHERS = (
    "Names alone say who they are, and an entitled user has no account, since another account has a name of theirs "
    "(see the match_conflict): names may have moved between people, and this may be the entitled user's account."
)


@dataclass(frozen=True, slots=True)
class LeaverDecision:
    row: User
    graph_id: GraphId | None
    kind: DriftKind
    reason: Reason | None
    claimants: tuple[GraphId, ...] = ()
    hold_reason: str = ""
    search: AccountSearch | None = None
    """How an account was looked for to which no user answers."""


@dataclass(frozen=True, slots=True)
class PlannedLeavers:
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    absentees: tuple[Absentee, ...]
    spared: str | None
    """Row of the last admin: stays only until another account is one."""

    def with_releases(self, releases: tuple[Change, ...]) -> PlannedLeavers:
        """Return the leavers together with accounts that give up their names."""
        gone = (Absentee(change.subject) for change in releases)
        return replace(self, changes=(*releases, *self.changes), absentees=(*self.absentees, *gone))


def plan_leavers(
    context: PlanContext,
    matches: Matches,
    arriving: Collection[str],
    released: Collection[str] = (),
    handed_over: Collection[str | None] = (),
) -> PlannedLeavers:
    """Plan which accounts are disabled, and report which are kept though no entitled
    user has them.

    `arriving` are the rows that this plan gives access to, `released` those that give
    up their names and access by it, `handed_over` those that lose their marks by a
    change of holder.
    """
    rows = (row for row in context.state.users.values() if row.id not in released)
    leavers = [leaver for row in rows if (leaver := _leaver(context, matches, row))]
    spared = _spared_admin(context, leavers, arriving, handed_over)
    kept = {leaver.row.id: why for leaver in leavers if (why := _why_kept(context, leaver, spared))}
    disabled = [leaver for leaver in leavers if leaver.row.id not in kept]
    return PlannedLeavers(
        changes=tuple(_disable(leaver) for leaver in disabled),
        findings=tuple(_finding(leaver, kept[leaver.row.id]) for leaver in leavers if leaver.row.id in kept),
        absentees=tuple(absentee for leaver in disabled for absentee in _absentees(leaver)),
        spared=spared,
    )


def _leaver(context: PlanContext, matches: Matches, row: User) -> LeaverDecision | None:
    if not row.active or row.deleted_at is not None:
        return None
    graph_id = matches.owners.get(row.id) or (row.entra_object_id if context.has_holder(row) else None)
    if not context.is_about_user(graph_id, row.id):
        return None
    if graph_id is None:
        return _without_holder(context, matches, row)
    reason = context.entitlement.reason(graph_id)
    if reason is None:
        return None
    return LeaverDecision(
        row, graph_id, DriftKind.MISSED_DEPROVISION, reason, hold_reason=_fight(row, reason)
    )


def _fight(row: User, reason: Reason) -> str:
    """Return why a removal waits: the push undid the same one before."""
    if (row.access_ended_by, row.access_given_by) != (Origin.GRAPH, Origin.SCIM):
        return ""
    if row.access_ended_reason != reason.value:
        return ""
    return (
        f"It was disabled here before because it is {reason.value} in Entra, and the push enabled it again: "
        "look for a second application or provisioning job on this connection."
    )


def _without_holder(context: PlanContext, matches: Matches, row: User) -> LeaverDecision | None:
    """Judge an account without holder by every user who answers to it (identity.md, W8,
    W9).
    """
    proof = object_id_in(row)
    if proof in context.snapshot.deleted and row.origin in PUSHED:
        return LeaverDecision(row, proof, DriftKind.MISSED_DEPROVISION, Reason.SOFT_DELETED)
    claimants = matches.claimants.get(row.id, ())
    if claimants:
        return _claimed(context, matches, row, is_proved=claimants == (proof,))
    return _unmatched(context, row)


def _unmatched(context: PlanContext, row: User) -> LeaverDecision | None:
    """Judge an account to which no user answers; only a person decides about a pushed
    one.
    """
    of_subjects = context.snapshot.is_of_subjects
    if not context.entitlement.is_whole:
        return None
    if row.origin not in PUSHED:
        # An empty search for one subject is no proof of anything.
        is_undecided = of_subjects and context.policy.deprovision_local_accounts
        return None if is_undecided else LeaverDecision(row, None, DriftKind.LOCAL_ACCOUNT, None)
    if context.snapshot.kind is CycleKind.INCREMENTAL:
        return None  # the next full cycle looks at all users
    if not of_subjects and not context.entitlement.is_directory_listed:
        return None
    if of_subjects:
        return LeaverDecision(row, None, DriftKind.UNMATCHED_ACCOUNT, None, hold_reason=NOBODY_FOUND)
    search = search_for(row, context.policy)
    return LeaverDecision(
        row, None, DriftKind.UNMATCHED_ACCOUNT, None, hold_reason=NOBODY_ANSWERS, search=search
    )


def _claimed(context: PlanContext, matches: Matches, row: User, *, is_proved: bool) -> LeaverDecision | None:
    claimants = matches.claimants[row.id]
    if context.snapshot.is_of_subjects and not is_proved:
        return None
    reasons = [context.entitlement.reason(claimant) for claimant in claimants]
    if None in reasons:
        return None  # a user who may have it is entitled, or it cannot be told
    why = ""
    if not is_linkable(row):
        why = "The account was made here or carries a mark, and whoever answers to it is not entitled."
    elif not is_proved and not context.names_fit:
        why = "Names alone say who they are, and it is not known that the mapping fits."
    elif not is_proved and matches.without_account:
        why = MAY_BE_ANOTHERS
    elif len(set(reasons)) > 1:
        why = "Several people answer to the account, and none of them is entitled."
    return LeaverDecision(row, None, DriftKind.MISSED_DEPROVISION, reasons[0], claimants, why)


def _spared_admin(
    context: PlanContext,
    leavers: Iterable[LeaverDecision],
    arriving: Collection[str],
    handed_over: Collection[str | None],
) -> str | None:
    """Return the row of the admin who stays because otherwise none would: the oldest
    row.
    """
    if context.state.has_admin_elsewhere:
        return None
    leaving_rows = {
        leaver.row.id: leaver.row for leaver in leavers if _why_kept(context, leaver, None) is None
    }
    admins = [row for row in context.state.users.values() if row.is_admin and row.id not in handed_over]
    here = {row.id for row in admins if row.active and row.deleted_at is None}
    if here - leaving_rows.keys() or any(row.id in arriving for row in admins):
        return None
    leaving = [leaving_rows[row_id] for row_id in here]
    return min(leaving, key=lambda row: (row.created_at, row.id)).id if leaving else None


def _why_kept(context: PlanContext, leaver: LeaverDecision, spared: str | None) -> str | None:
    row = leaver.row
    if _is_local_kept(context, leaver):
        return "nobody in Entra answers to it"
    if row.is_guarded:
        return "the account is protected"
    if row.id == spared:
        return "it is the last admin"
    if context.is_changed_after_reading(row):
        return "it changed here after reading began; the next cycle looks again"
    return None


def _is_local_kept(context: PlanContext, leaver: LeaverDecision) -> bool:
    return leaver.kind is DriftKind.LOCAL_ACCOUNT and not context.policy.deprovision_local_accounts


def _finding(leaver: LeaverDecision, why: str) -> Finding:
    return Finding(leaver.kind, user_subject(leaver.row, leaver.graph_id), why, reason=leaver.reason)


def _disable(leaver: LeaverDecision) -> Change:
    return Change(
        leaver.kind,
        Action.DISABLE,
        user_subject(leaver.row, leaver.graph_id),
        leaver.reason,
        before={"active": True},
        after={"active": False},
        expected_version=leaver.row.version,
        claimants=leaver.claimants,
        hold_reason=leaver.hold_reason,
        note=leaver.search.sentence if leaver.search else "",
    )


def _absentees(leaver: LeaverDecision) -> Iterator[Absentee]:
    """Yield the people to re-read in Graph, each by object id.

    An account to which no user answers is searched by what the list of people does not
    show. A search that finds nothing proves nothing: a person decides with it.
    """
    if leaver.search is not None and leaver.search.filters:
        lookups = tuple((each.name, each.value) for each in leaver.search.filters)
        yield Absentee(user_subject(leaver.row, None), lookups)
    if leaver.graph_id:
        yield Absentee(user_subject(leaver.row, leaver.graph_id))
    for claimant in leaver.claimants:
        yield Absentee(Subject(SubjectType.USER, claimant, None, leaver.row.user_name))
