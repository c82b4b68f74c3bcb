"""Find accounts that have access here and should not: the heart of the product.

| the row                                | is                                        |
|----------------------------------------|-------------------------------------------|
| of a user who is not entitled          | a missed deprovision                      |
| pushed, and no user in Entra matches it| a missed deprovision: purged before it    |
|                                        | could be linked                           |
| made here, and no user matches it      | a local account: reported, disabled only  |
|                                        | if the policy says so                     |
| contested, or changed since reading    | left alone                                |
| protected, or the last admin           | reported, never disabled                  |
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from store.records import Action, DriftKind, GraphId, Origin, Reason, User, is_object_id
from worker.reconcile.plan import Absentee, Change, Finding
from worker.reconcile.plan_context import PlanContext, user_subject
from worker.reconcile.planning.matching import Matches

PUSHED = frozenset({Origin.SCIM, Origin.GRAPH})
"""Origins of rows that came from Entra, linked or not."""


@dataclass(frozen=True, slots=True)
class LeaverDecision:
    row: User
    graph_id: GraphId | None
    kind: DriftKind
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class PlannedLeavers:
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    absentees: tuple[Absentee, ...]


def plan_leavers(context: PlanContext, matches: Matches, arriving: Collection[str]) -> PlannedLeavers:
    """Plan which accounts are disabled, and report which are kept though no entitled
    user has them.

    `arriving` are the rows that this plan gives access to.
    """
    leavers = [leaver for row in context.state.users.values() if (leaver := _leaver(context, matches, row))]
    spared = _spared_admin(context, leavers, arriving)
    kept = {leaver.row.id: why for leaver in leavers if (why := _why_kept(context, leaver, spared))}
    disabled = [leaver for leaver in leavers if leaver.row.id not in kept]
    return PlannedLeavers(
        changes=tuple(_disable(leaver) for leaver in disabled),
        findings=tuple(_finding(leaver, kept[leaver.row.id]) for leaver in leavers if leaver.row.id in kept),
        absentees=tuple(absentee_of(context, leaver.row, leaver.graph_id) for leaver in disabled),
    )


def _leaver(context: PlanContext, matches: Matches, row: User) -> LeaverDecision | None:
    if not row.active or row.deleted_at is not None or row.id in matches.contested:
        return None
    graph_id = matches.owners.get(row.id) or row.entra_object_id
    if not context.is_about_user(graph_id, row.id):
        return None
    if graph_id is None:
        return _unlinked(context, row)
    reason = context.entitlement.reason(graph_id)
    return LeaverDecision(row, graph_id, DriftKind.MISSED_DEPROVISION, reason) if reason else None


def _unlinked(context: PlanContext, row: User) -> LeaverDecision | None:
    # No listed user matches this row. Its externalId may still be the object id of a
    # deleted user.
    reason = context.entitlement.reason(GraphId(row.external_id or ""))
    if reason is None:
        return None
    if row.origin in PUSHED:
        return LeaverDecision(row, None, DriftKind.MISSED_DEPROVISION, reason)
    return LeaverDecision(row, None, DriftKind.LOCAL_ACCOUNT, None)


def _spared_admin(
    context: PlanContext, leavers: Iterable[LeaverDecision], arriving: Collection[str]
) -> str | None:
    """Return the row of the admin who stays because otherwise none would: the oldest
    row.
    """
    if context.state.has_admin_elsewhere:
        return None
    leaving_rows = {
        leaver.row.id: leaver.row for leaver in leavers if _why_kept(context, leaver, None) is None
    }
    admins = [row for row in context.state.users.values() if row.is_admin]
    here = {row.id for row in admins if row.active and row.deleted_at is None}
    if here - leaving_rows.keys() or any(row.id in arriving for row in admins):
        return None
    leaving = [leaving_rows[row_id] for row_id in here]
    return min(leaving, key=lambda row: (row.created_at, row.id)).id if leaving else None


def _why_kept(context: PlanContext, leaver: LeaverDecision, spared: str | None) -> str | None:
    row = leaver.row
    if _is_local_kept(context, leaver):
        return "nobody in Entra answers to it"
    if row.is_protected:
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
    )


def absentee_of(context: PlanContext, row: User, graph_id: GraphId | None) -> Absentee:
    """Return how a user is to be re-read in Graph: by object id, else by a search."""
    subject = user_subject(row, graph_id)
    return Absentee(subject, () if graph_id else tuple(_lookups(context, row)))


def _lookups(context: PlanContext, row: User) -> Iterator[tuple[str, str]]:
    name_property = context.mapping.user_name_property
    # A name that an entitled user has would find that user, who took the name over: the
    # row was offered to that user and did not fit. A B2B guest's userName is a part of
    # the principal name: searching for it would find no user and prove nothing.
    is_searchable = name_property != "userPrincipalName" or "@" in row.user_name
    if name_property and is_searchable and row.user_name.lower() not in context.user_names:
        yield name_property, row.user_name
    if not row.external_id:
        return
    if is_object_id(row.external_id):
        yield "id", row.external_id
    elif row.external_id.lower() not in context.nicknames:
        yield "mailNickname", row.external_id
