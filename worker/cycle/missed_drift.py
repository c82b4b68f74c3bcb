"""Check the increments: count drift that they should have found before a full cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from store.records import Connection, DriftKind
from store.sync import drift_reports
from worker import metrics
from worker.cycle import checkpoint as checkpoints
from worker.cycle import incremental
from worker.cycle.checkpoint import LastCheckpoint
from worker.cycle.incremental import FullCycleRequired
from worker.reconcile.dependencies import affected_subjects, arriving_users
from worker.reconcile.digests import ComparedState
from worker.reconcile.plan import UNREPORTED, Change
from worker.reconcile.snapshot import Focus
from worker.services import WorkerServices

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

log = structlog.get_logger(__name__)


async def count_missed(
    services: WorkerServices,
    connection: Connection,
    graph: GraphClient,
    compared: ComparedState,
) -> int | None:
    """Count drift that an increment, run now instead, would not have compared.

    It is logged as a warning, for it is a fault of Leaver's own. Drift that was open
    already is not counted. None if there is nothing to compare with: no checkpoint, or
    one that no longer holds.
    """
    async with services.db.reading() as conn:
        checkpoint = await checkpoints.load(conn, connection)
        last = await checkpoints.with_counts(conn, connection, checkpoint) if checkpoint else None
        known = await drift_reports.open_findings(conn, connection.tenant_id, connection.id)
    if last is None:
        return None
    found = [c for c in compared.plan.changes if _is_of_increments(c) and _identity(c) not in known]
    if not found:
        return 0
    focus = await _focus_of_increment(services, connection, graph, last, compared)
    if focus is None:
        return None
    missed = [change for change in found if not _concerns(focus, change)]
    if missed:
        metrics.MISSED.inc(len(missed))
        kinds = sorted({str(change.kind) for change in missed})
        log.warning("cycle.increments_missed", number=len(missed), kinds=kinds)
    return len(missed)


async def _focus_of_increment(
    services: WorkerServices,
    connection: Connection,
    graph: GraphClient,
    last: LastCheckpoint,
    compared: ComparedState,
) -> Focus | None:
    from worker.graph.errors import GraphError
    from worker.graph.read.focus import start_reading

    try:
        reading = await start_reading(graph, connection, compared.snapshot.taken_at)
        changed = await incremental.find_changed_subjects(
            services, connection, graph, reading, last, last.checkpoint.events_id
        )
    except (FullCycleRequired, GraphError):
        return None
    focus = changed.focus
    snapshot, state = compared.snapshot, compared.state
    arriving = arriving_users(snapshot, state, connection.policy, changed.arrived) & focus.users
    if compared.focus:
        # A user whose digest fits has a row, though it was not loaded.
        arriving &= compared.focus.users | changed.arrived
    reports = frozenset(g for g, user in snapshot.users.items() if user.manager_id in arriving)
    focus |= Focus(reports)
    focus |= affected_subjects(snapshot, state, focus)
    return focus | affected_subjects(snapshot, state, focus)


def _is_of_increments(change: Change) -> bool:
    """Return whether an increment is to find this drift: who answers to an account
    without holder, only a reading of all users tells.
    """
    is_of_all = change.claimants or change.kind is DriftKind.UNMATCHED_ACCOUNT
    return change.action not in UNREPORTED and not is_of_all


def _identity(change: Change) -> tuple[str, str]:
    member = f":{change.member.key}" if change.member else ""
    return change.kind.value, f"{change.subject.key}{member}"


def _concerns(focus: Focus, change: Change) -> bool:
    ends = [end for end in (change.subject, change.member) if end is not None]
    return any(
        focus.has_user(end.graph_id, end.local_id) or focus.has_group(end.graph_id, end.local_id)
        for end in ends
    )
