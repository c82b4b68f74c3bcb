"""Plan the changes to groups: link, rename, create, restore, delete.

Assigned groups are here under their displayName and no other group is. A group that was
made here (console, API) and matches no assigned group is left alone. `externalId` is
set at creation and not compared: connections map it differently.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from store.records import Action, DriftKind, GraphId, Group, GroupId, Reason, SubjectType, is_object_id
from worker.reconcile.plan import Absentee, Change, Finding, Subject
from worker.reconcile.plan_context import PlanContext, group_subject, planned_id
from worker.reconcile.planning.matches import PUSHED, Matches
from worker.reconcile.planning.matching import match_groups, refused_names
from worker.reconcile.planning.unknown_state import unknown_groups


@dataclass(frozen=True, slots=True)
class PlannedGroups:
    """What is planned for groups, and what the memberships need to know of it."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    matches: Matches
    subjects: Mapping[GraphId, Subject]
    """Every assigned group that is here, or will be by this plan."""
    absentees: tuple[Absentee, ...]
    """The groups that would be deleted."""


def plan_groups(context: PlanContext) -> PlannedGroups:
    """Plan all changes to groups."""
    matches = match_groups(context)
    rows = {graph_id: context.state.groups[GroupId(row_id)] for graph_id, row_id in matches.rows.items()}
    unmatched = list(matches.unmatched(filter(context.is_about_group, context.entitlement.members)))
    deletions, kept = _deletions(context, matches)
    deleted_ids = frozenset(change.subject.local_id for change in deletions)
    refused = _refused(context, matches, rows, unmatched, deleted_ids)
    returning = _returning(context)
    arriving = {
        g: _subject_of_new(context, g, returning.get(g))
        for g in unmatched
        if g not in refused
        and context.snapshot.groups[g].display_name
        and not (g in returning and context.is_changed_after_reading(returning[g]))
    }
    return PlannedGroups(
        changes=(
            *_changes_of_rows(context, rows, refused),
            *(_creation(subject, returning.get(g)) for g, subject in arriving.items()),
            *deletions,
        ),
        findings=(
            *matches.conflicts.values(),
            *refused.values(),
            *kept,
            *unknown_groups(context, matches),
        ),
        matches=matches,
        subjects={g: group_subject(row, g) for g, row in rows.items()} | arriving,
        absentees=tuple(_absentees(context, matches, deletions)),
    )


def _refused(
    context: PlanContext,
    matches: Matches,
    rows: Mapping[GraphId, Group],
    unmatched: list[GraphId],
    deleted_ids: Collection[str | None],
) -> dict[GraphId, Finding]:
    """Return groups that cannot have their displayName: it is unique, and two rows
    would have it.
    """
    names = {g: name for g in (*rows, *unmatched) if (name := context.snapshot.groups[g].display_name)}
    staying = (r for r in context.state.groups.values() if r.deleted_at is None and r.id not in deleted_ids)
    others = (row.display_name for row in staying if row.id not in matches.owners)
    taken = refused_names(names, {g: row.display_name for g, row in rows.items() if g in names}, others)
    return {g: _name_conflict(g, names[g], rows.get(g)) for g in taken}


def _name_conflict(graph_id: GraphId, name: str, row: Group | None) -> Finding:
    subject = Subject(SubjectType.GROUP, graph_id, row.id if row else None, name)
    return Finding(DriftKind.MATCH_CONFLICT, subject, "another group has or is to have the same displayName")


def _changes_of_rows(
    context: PlanContext, rows: Mapping[GraphId, Group], refused: Mapping[GraphId, Finding]
) -> Iterator[Change]:
    for graph_id, row in rows.items():
        subject = group_subject(row, graph_id)
        if row.entra_object_id != graph_id:
            yield Change(DriftKind.ATTRIBUTE_MISMATCH, Action.LINK, subject, expected_version=row.version)
        name = context.snapshot.groups[graph_id].display_name
        is_free = graph_id not in refused and not context.is_changed_after_reading(row)
        if name and name != row.display_name and is_free:
            yield Change(
                DriftKind.ATTRIBUTE_MISMATCH,
                Action.UPDATE,
                subject,
                before={"displayName": row.display_name},
                after={"displayName": name},
                expected_version=row.version,
            )


def _returning(context: PlanContext) -> Mapping[GraphId, Group]:
    """Return deleted rows by their former Entra group; of several the one
    deleted last.
    """
    deleted = [r for r in context.state.groups.values() if r.deleted_at is not None]
    deleted.sort(key=lambda row: (str(row.deleted_at), row.id))
    return {row.entra_object_id: row for row in deleted if row.entra_object_id}


def _subject_of_new(context: PlanContext, graph_id: GraphId, before: Group | None) -> Subject:
    local_id = (
        before.id if before else planned_id(context.state.connection_id, graph_id, context.state.groups)
    )
    return Subject(SubjectType.GROUP, graph_id, local_id, context.snapshot.groups[graph_id].display_name)


def _creation(subject: Subject, before: Group | None) -> Change:
    return Change(
        DriftKind.GROUP_MISSING,
        Action.RESTORE if before else Action.CREATE,
        subject,
        after={"displayName": subject.label, "externalId": subject.graph_id},
        expected_version=before.version if before else None,
    )


def _absentees(context: PlanContext, matches: Matches, deletions: Iterable[Change]) -> Iterator[Absentee]:
    for change in deletions:
        external_id = context.state.groups[GroupId(change.subject.local_id or "")].external_id or ""
        if change.subject.graph_id:
            yield Absentee(change.subject)
        # Entra's default mapping sends a group's object id as externalId. A second row
        # of a group that has one is not in question.
        elif is_object_id(external_id) and external_id.lower() not in matches.rows:
            yield Absentee(change.subject, (("id", external_id.lower()),))


def _deletions(context: PlanContext, matches: Matches) -> tuple[list[Change], list[Finding]]:
    """Return deletions of rows that match no assigned group, and findings on rows that
    are kept.

    Entra deletes a group that is unassigned or deleted.
    """
    changes: list[Change] = []
    findings: list[Finding] = []
    is_nameless = any(not context.snapshot.groups[g].display_name for g in context.entitlement.members)
    for row in context.state.groups.values() if context.entitlement.is_whole else ():
        # An unlinked row may be of an assigned group whose name Graph did not give.
        is_ours = row.entra_object_id is not None or (row.origin in PUSHED and not is_nameless)
        if (
            row.deleted_at is not None
            or row.id in matches.owners
            or row.id in matches.contested
            or not is_ours
        ):
            continue
        if not context.is_about_group(row.entra_object_id, row.id):
            continue
        if row.entra_object_id in context.snapshot.unknown_grants:  # may well be assigned
            continue
        subject = group_subject(row, row.entra_object_id)
        if context.is_changed_after_reading(row):
            detail = "it changed here after reading began; the next cycle looks again"
            findings.append(Finding(DriftKind.GROUP_EXTRA, subject, detail, reason=Reason.UNASSIGNED))
        else:
            changes.append(
                Change(
                    DriftKind.GROUP_EXTRA,
                    Action.DELETE,
                    subject,
                    Reason.UNASSIGNED,
                    expected_version=row.version,
                )
            )
    return changes, findings
