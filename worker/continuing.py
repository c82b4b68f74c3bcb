"""What a full cycle does for the increments: leaves them something to continue from, and proves them right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from store import drift as drift_reports
from store.delta_links import digest_of
from store.records import Action, Connection, Cycle
from worker import increment, metrics
from worker import lineage as lineages
from worker.increment import NeedsFull
from worker.lineage import Heritage, Lineage
from worker.reconcile.agreement import Looked
from worker.reconcile.focus import Focus
from worker.reconcile.plan import Change
from worker.reconcile.reach import drawn_in, newcomers
from worker.reconcile.snapshot import Snapshot
from worker.services import Services

if TYPE_CHECKING:
    from worker.graph.client import GraphClient

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Links:
    """Taken before a reading starts, so that nothing can fall between it and the next increment."""

    users: str
    groups: str
    at: datetime


async def take_links(services: Services, connection: Connection, graph: GraphClient) -> Links | None:
    """Takes what the next increment continues from; None where Graph gives no delta: the next cycle is full too."""
    from worker.graph.delta import groups_link, users_link
    from worker.graph.errors import GraphError

    at = services.clock()
    try:
        return Links(await users_link(graph, connection.policy), await groups_link(graph), at)
    except GraphError as error:
        log.warning("delta.no_links", error=type(error).__name__)
        return None


def heritage(
    connection: Connection, links: Links | None, snapshot: Snapshot, events_id: int
) -> Heritage | None:
    """What a full cycle leaves to the next, once what was read is known."""
    if links is None:
        return None
    assigned = frozenset(row.principal_id for row in snapshot.assignments)
    roles = snapshot.completeness.token_roles
    context = lineages.context_of(connection, snapshot.service_principal_id, roles)
    lineage = Lineage(links.users, links.groups, events_id, context, links.at, digest_of(assigned))
    return Heritage(lineage, assigned)


async def count_missed(
    services: Services,
    connection: Connection,
    graph: GraphClient,
    cycle: Cycle,
    looked: Looked,
) -> int | None:
    """Counts drift that an increment, run now instead, would not have looked at; warned of, for it is our fault.

    What was open already is not counted. None where there is nothing to compare with: no lineage, or one that
    no longer holds.
    """
    async with services.db.reading() as conn:
        since = await lineages.load(conn, connection)
        known = await drift_reports.ongoing(conn, connection.tenant_id, connection.id, cycle.id)
    if since is None:
        return None
    found = [c for c in looked.plan.changes if c.action is not Action.LINK and _identity(c) not in known]
    if not found:
        return 0
    focus = await _would_look_at(services, connection, graph, since, looked)
    if focus is None:
        return None
    missed = [change for change in found if not _concerns(focus, change)]
    if missed:
        metrics.MISSED.inc(len(missed))
        kinds = sorted({str(change.kind) for change in missed})
        log.warning("cycle.increments_missed", number=len(missed), kinds=kinds)
    return len(missed)


async def _would_look_at(
    services: Services,
    connection: Connection,
    graph: GraphClient,
    since: Lineage,
    looked: Looked,
) -> Focus | None:
    from worker.graph.errors import GraphError
    from worker.graph.focused import start_reading

    try:
        reading = await start_reading(graph, connection, looked.snapshot.taken_at)
        clues = await increment.clues(services, connection, graph, reading, since, since.events_id)
    except (NeedsFull, GraphError):
        return None
    focus = clues.focus
    snapshot, state = looked.snapshot, looked.state
    arriving = newcomers(snapshot, state, connection.policy) & focus.users
    # Who agreed as before has a row, though it was not loaded.
    arriving &= looked.focus.users if looked.focus else arriving
    reports = frozenset(g for g, user in snapshot.users.items() if user.manager_id in arriving)
    focus |= Focus(reports)
    focus |= drawn_in(snapshot, state, focus)
    return focus | drawn_in(snapshot, state, focus)


def _identity(change: Change) -> tuple[str, str]:
    member = f":{change.member.key}" if change.member else ""
    return change.kind.value, f"{change.subject.key}{member}"


def _concerns(focus: Focus, change: Change) -> bool:
    ends = [end for end in (change.subject, change.member) if end is not None]
    return any(
        focus.has_user(end.graph_id, end.local_id) or focus.has_group(end.graph_id, end.local_id)
        for end in ends
    )
