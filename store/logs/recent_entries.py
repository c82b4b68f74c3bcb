"""Look through the newest entries of the provisioning log for those that are wanted.

A page costs a bounded number of entries under any filter: where few fit among many,
the page is short and says from where to go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.logs import provisioning_log
from store.logs.provisioning_log import LogPage
from store.records import Action, ConnectionId, LogEntry, LogStatus, Origin, TenantId

FIRST_LOOK, MOST_LOOKED_AT = 500, 20_000
LATE = timedelta(minutes=10)
"""A transaction that ends late may have drawn a later number than a younger one."""

_c = tables.provisioning_log.c


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which entries are wanted; None filters nothing."""

    status: LogStatus | None = None
    action: Action | None = None
    origin: Origin | None = None
    since: datetime | None = None
    hides_skipped: bool = False


@dataclass(frozen=True, slots=True)
class _Edge:
    """The oldest entry of a look."""

    id: int
    at: datetime


async def search(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    wanted: LogFilter,
    *,
    before: int | None = None,
    limit: int = 50,
    most: int = MOST_LOOKED_AT,
) -> LogPage:
    """Return a page of entries, the newest first; `next` also where no more was looked
    at.
    """
    found: list[LogEntry] = []
    place, looked_at, size = before, 0, FIRST_LOOK
    while True:
        edge = await _edge(conn, tenant_id, connection_id, place, size)
        page = await provisioning_log.search(
            *(conn, tenant_id, connection_id),
            status=wanted.status,
            action=wanted.action,
            origin=wanted.origin,
            since=wanted.since,
            hides_skipped=wanted.hides_skipped,
            before=place,
            not_below=None if edge is None else edge.id,
            limit=limit - len(found),
        )
        found += page.entries
        if page.next is not None:
            return LogPage(tuple(found), page.next)
        if edge is None or (wanted.since is not None and edge.at < wanted.since - LATE):
            return LogPage(tuple(found), None)
        place, looked_at = edge.id, looked_at + size
        if looked_at >= most or len(found) == limit:
            return LogPage(tuple(found), place)
        size = min(4 * size, most - looked_at)


async def _edge(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, before: int | None, size: int
) -> _Edge | None:
    """Return the entry that is so far below a place; None where there are fewer."""
    query = select(_c.id).where(_c.connection_id == connection_id)
    if before is not None:
        query = query.where(_c.id < before)
    lowest = query.order_by(_c.id.desc()).offset(size - 1).limit(1).scalar_subquery()
    row = (await conn.execute(select(_c.id, _c.at).where(_c.tenant_id == tenant_id, _c.id == lowest))).first()
    return None if row is None else _Edge(row.id, row.at)
