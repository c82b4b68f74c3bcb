"""Plan the changes to users: link, update, create, restore, enable; disable is in
`leavers`.

| in Entra            | here     | change                                  |
|---------------------|----------|-----------------------------------------|
| entitled            | active   | UPDATE if mapped attributes differ      |
| entitled            | inactive | ENABLE (and UPDATE)                     |
| entitled            | deleted  | RESTORE: the same row, the same history |
| entitled            | no row   | CREATE                                  |
| not entitled        | active   | DISABLE                                 |
| not entitled        | inactive | nothing: Entra does not update them     |
| this cannot be told | anything | nothing                                 |

A user who matches an unlinked row is linked to it first. Which person an account
stands for is in `holders`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from store.records import (
    Action,
    DriftKind,
    GraphId,
    HolderBasis,
    JsonValue,
    SubjectType,
    User,
    UserId,
    name_key,
)
from worker.reconcile.entitlement import NESTED_NOTE
from worker.reconcile.mapping.attribute_mapping import CompiledMapping, Resolve
from worker.reconcile.plan import Change, Finding, Subject
from worker.reconcile.plan_context import PlanContext, planned_id, user_subject
from worker.reconcile.planning.holders import (
    double_claims,
    is_doubted,
    is_seen_again,
    orphans,
    plan_changes_of_holder,
    plan_releases,
    plan_retirements,
    shared_anchors,
)
from worker.reconcile.planning.kept_values import KeptValues, may_overwrite
from worker.reconcile.planning.leavers import PlannedLeavers, plan_leavers
from worker.reconcile.planning.matches import Matches
from worker.reconcile.planning.matching import match_users, refused_names, restorable_users
from worker.reconcile.planning.unknown_state import unknown_users
from worker.reconcile.snapshot import GraphUser, LazyMapping


@dataclass(frozen=True, slots=True)
class PlannedUsers:
    """What is planned for users, and what the memberships need to know of it."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    leavers: PlannedLeavers
    matches: Matches
    active: Mapping[GraphId, str]
    """Row id of every entitled user who is active here, or will be by this plan."""
    arriving: Mapping[GraphId, Subject]
    """Users who get a row by this plan, or a deleted one back."""
    unsettled: frozenset[str] = frozenset()
    """Rows with values that differ from the mapping's and are not written."""
    missing_holders: frozenset[str] = frozenset()
    retired: frozenset[str] = frozenset()
    """Second accounts of people who have another by this plan."""
    agreed_names: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)


def plan_users(context: PlanContext) -> PlannedUsers:
    """Plan all changes to users."""
    matches = match_users(context)
    given = (*plan_retirements(context, matches), *plan_changes_of_holder(context, matches))
    rows = {graph_id: context.state.users[UserId(row_id)] for graph_id, row_id in matches.rows.items()}
    unmatched = list(matches.unmatched(sorted(context.entitled)))
    returning = restorable_users(context, unmatched)
    releases = plan_releases(context, matches, [*unmatched, *_renamed(context, rows)])
    released = frozenset(change.subject.local_id or "" for change in releases)
    refused = _refused(context, matches, rows, unmatched, released)
    arriving = {
        g: returning[g].id
        if g in returning
        else planned_id(context.state.connection_id, g, context.state.users)
        for g in unmatched
        if g not in refused and not (g in returning and context.is_changed_after_reading(returning[g]))
    }
    linked = {
        r.entra_object_id: r.id
        for r in context.state.users.values()
        if r.entra_object_id and not r.deleted_at and context.has_holder(r)
    }
    ids: Mapping[GraphId, str] = {**linked, **matches.rows, **arriving}
    staying = (
        g for g, row in rows.items() if g in context.entitlement.entitled and _is_active_after(context, row)
    )
    active = {g: ids[g] for g in (*staying, *arriving)}
    handed_over = frozenset(c.subject.local_id for c in given if c.action is Action.CHANGE_HOLDER)
    leavers = plan_leavers(context, matches, frozenset(active.values()), released, handed_over)
    leavers = leavers.with_releases(releases)
    retired = frozenset(change.subject.local_id or "" for change in given if change.action is Action.RETIRE)
    creations = tuple(_creations(context, arriving, returning, ids))
    kept = KeptValues()
    changes = tuple(_changes_of_rows(context, matches, rows, ids, refused, kept))
    return PlannedUsers(
        changes=(*given, *changes, *creations, *leavers.changes),
        findings=(
            *matches.conflicts.values(),
            *_left_open(context, matches),
            *refused.values(),
            *leavers.findings,
            *kept.findings(context),
            *shared_anchors(context, rows),
            *double_claims(context, matches),
            *unknown_users(context, matches),
        ),
        leavers=leavers,
        matches=matches,
        active=active,
        arriving={g: change.subject for g, change in zip(arriving, creations, strict=True)},
        unsettled=frozenset(kept.rows),
        agreed_names=kept.agreed_names,
        retired=retired,
        missing_holders=frozenset(row.id for row in orphans(context, matches)),
    )


def _left_open(context: PlanContext, matches: Matches) -> Iterator[Finding]:
    """Yield the accounts of which no rule says whose they are, and which stay."""
    for finding in matches.left_open:
        claimants = matches.claimants.get(finding.subject.local_id or "", ())
        stays = None in {context.entitlement.reason(person) for person in claimants}
        if stays and finding.subject.local_id not in matches.owners:
            yield finding


def _renamed(context: PlanContext, rows: Mapping[GraphId, User]) -> Iterator[GraphId]:
    """Yield entitled users whose account is to have another userName."""
    for graph_id in context.entitled:
        row = rows.get(graph_id)
        if row is None or context.is_changed_after_reading(row):
            continue
        if name_key(context.user_name(graph_id) or row.user_name) != name_key(
            row.user_name
        ) and may_overwrite(context, row, "userName"):
            yield graph_id


def _is_active_after(context: PlanContext, row: User) -> bool:
    """Return whether an entitled user's row is active once the plan is applied."""
    return row.active or not context.is_changed_after_reading(row)


def _refused(
    context: PlanContext,
    matches: Matches,
    rows: Mapping[GraphId, User],
    unmatched: list[GraphId],
    released: Collection[str],
) -> dict[GraphId, Finding]:
    """Return entitled users who cannot have their userName: it is empty, or two rows
    would have it.
    """
    entitled_rows = [
        g for g in context.entitlement.entitled if g in rows and not context.is_changed_after_reading(rows[g])
    ]
    names = {g: name for g in (*entitled_rows, *unmatched) if (name := context.user_name(g))}
    for g in entitled_rows:
        if g in names and names[g] != rows[g].user_name and not may_overwrite(context, rows[g], "userName"):
            names[g] = rows[g].user_name
    users = context.state.users.values()
    live = (row for row in users if row.deleted_at is None and row.id not in released)
    others = (row.user_name for row in live if matches.owners.get(row.id) not in names)
    taken = refused_names(names, {g: rows[g].user_name for g in names if g in rows}, others)
    nameless = [g for g in unmatched if g not in names]
    return {g: _name_conflict(g, names[g], rows.get(g)) for g in taken} | {g: _nameless(g) for g in nameless}


def _name_conflict(graph_id: GraphId, name: str, row: User | None) -> Finding:
    subject = Subject(SubjectType.USER, graph_id, row.id if row else None, name)
    return Finding(DriftKind.MATCH_CONFLICT, subject, "another account has or is to have the same userName")


def _nameless(graph_id: GraphId) -> Finding:
    subject = Subject(SubjectType.USER, graph_id, None, graph_id)
    detail = "the mapping gives it no userName; Entra skips such a user (ImportSkipped)"
    return Finding(DriftKind.MISSED_PROVISION, subject, detail)


def _changes_of_rows(
    context: PlanContext,
    matches: Matches,
    rows: Mapping[GraphId, User],
    ids: Mapping[GraphId, str],
    refused: Mapping[GraphId, Finding],
    kept: KeptValues,
) -> Iterator[Change]:
    entitled = context.entitlement.entitled
    for graph_id, row in rows.items():
        is_new = not context.has_holder(row) and not is_doubted(context, row, graph_id)
        is_linked = is_new and graph_id not in context.entitlement.undecided
        names_agree = is_linked and _names_agree(context, row, graph_id)
        if is_linked:
            yield _link(row, graph_id, by_names=row.id in matches.by_names, names_agree=names_agree)
        # A push that landed since reading began may be newer: nothing of it is undone
        # (invariant I7).
        if graph_id not in entitled or context.is_changed_after_reading(row):
            continue
        if is_seen_again(row, graph_id):
            yield _unseal(row, graph_id)
        before, after = context.mapping.differences(context.snapshot.users[graph_id], row.document, ids.get)
        if graph_id in refused:
            before.pop("userName", None)
            after.pop("userName", None)
        note = kept.take_out(context, row, graph_id, before, after, names_agree=names_agree)
        if after:
            yield Change(
                DriftKind.ATTRIBUTE_MISMATCH,
                Action.UPDATE,
                user_subject(row, graph_id),
                before=before,
                after=after,
                expected_version=row.version,
                note=note,
            )
        if not row.active:
            yield _enable(row, graph_id, _note(context, graph_id))


def _names_agree(context: PlanContext, row: User, graph_id: GraphId) -> bool:
    """Return whether an account that is linked has the names of its person, in any
    case.
    """
    same_name = name_key(context.user_name(graph_id) or "") == name_key(row.user_name)
    return same_name and context.has_external_id(graph_id, row)


def _link(row: User, graph_id: GraphId, *, by_names: bool, names_agree: bool) -> Change:
    basis = HolderBasis.NAMES if by_names else HolderBasis.PROOF
    return Change(
        DriftKind.ATTRIBUTE_MISMATCH,
        Action.LINK,
        user_subject(row, graph_id),
        after={"holderBasis": basis.value, "namesAgree": names_agree},
        expected_version=row.version,
    )


def _unseal(row: User, graph_id: GraphId) -> Change:
    return Change(
        DriftKind.ATTRIBUTE_MISMATCH,
        Action.UNSEAL,
        user_subject(row, graph_id),
        expected_version=row.version,
        note="the same person was seen again",
    )


def _enable(row: User, graph_id: GraphId, note: str) -> Change:
    return Change(
        DriftKind.MISSED_PROVISION,
        Action.ENABLE,
        user_subject(row, graph_id),
        before={"active": False},
        after={"active": True},
        expected_version=row.version,
        note=note,
    )


def _creations(
    context: PlanContext,
    arriving: Mapping[GraphId, str],
    returning: Mapping[GraphId, User],
    ids: Mapping[GraphId, str],
) -> Iterator[Change]:
    resolve = ids.get
    for graph_id, local_id in arriving.items():
        row = returning.get(graph_id)
        label = context.user_name(graph_id) or graph_id
        yield Change(
            DriftKind.MISSED_PROVISION,
            Action.RESTORE if row else Action.CREATE,
            Subject(SubjectType.USER, graph_id, local_id, label),
            after=LazyMapping(_new_document, context.mapping, context.snapshot.users, graph_id, resolve),
            expected_version=row.version if row else None,
            note=_note(context, graph_id),
        )


def _new_document(
    mapping: CompiledMapping, users: Mapping[GraphId, GraphUser], graph_id: GraphId, resolve: Resolve
) -> dict[str, JsonValue]:
    after = mapping.wanted(users[graph_id], resolve)
    after["active"] = True
    return after


def _note(context: PlanContext, graph_id: GraphId) -> str:
    return NESTED_NOTE if graph_id in context.entitlement.nested_only else ""
