"""Report users and groups of which Graph did not say enough to decide anything.

Each is one finding that names the object; the rest of the plan does not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from store.records import DriftKind, GraphId, SubjectType
from worker.reconcile.plan import Finding, Subject
from worker.reconcile.plan_context import PlanContext
from worker.reconcile.planning.matches import Matches

NO_TYPE = "Graph lists the assignment without saying whether it is a user's or a group's (principalType)."
NO_NAME = "Graph does not give the group's displayName: the group is neither created, renamed nor deleted."


def unknown_users(context: PlanContext, matches: Matches) -> Iterator[Finding]:
    """Yield a finding for each undecided user who is assigned, or has a row here."""
    entitlement = context.entitlement
    untyped = {row.principal_id for row in context.snapshot.assignments if not row.principal_type}
    for graph_id in sorted(entitlement.undecided):
        row_id = matches.rows.get(graph_id)
        is_concerned = row_id is not None or graph_id in entitlement.assigned or graph_id in untyped
        if is_concerned and context.is_about_user(graph_id, row_id):
            subject = Subject(SubjectType.USER, graph_id, row_id, context.user_name(graph_id) or graph_id)
            detail = context.snapshot.users[graph_id].unknown or NO_TYPE
            yield Finding(DriftKind.STATE_UNKNOWN, subject, detail)


def unknown_groups(context: PlanContext, matches: Matches) -> Iterator[Finding]:
    """Yield a finding for each group without a name, or with members not all known."""
    for graph_id, detail in sorted(_doubts(context).items()):
        row_id = matches.rows.get(graph_id)
        if context.is_about_group(graph_id, row_id):
            group = context.snapshot.groups.get(graph_id)
            label = (group.display_name if group else "") or graph_id
            yield Finding(
                DriftKind.STATE_UNKNOWN, Subject(SubjectType.GROUP, graph_id, row_id, label), detail
            )


def _doubts(context: PlanContext) -> dict[GraphId, str]:
    groups = context.snapshot.groups
    nameless = {g: NO_NAME for g in context.entitlement.members if not groups[g].display_name}
    return nameless | dict(context.snapshot.unknown_grants)
