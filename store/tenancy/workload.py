"""What the workers of an installation do now, and what waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables

_c, _l = tables.connections.c, tables.leases.c


@dataclass(frozen=True, slots=True)
class BusyHolder:
    """A process that works on connections."""

    holder: str
    connections: int


@dataclass(frozen=True, slots=True)
class DueConnections:
    """Connections whose cycle is due and has not begun."""

    number: int
    oldest_at: datetime | None


async def busy_holders(conn: AsyncConnection, now: datetime) -> Sequence[BusyHolder]:
    """Return the processes that hold leases now, the busiest first."""
    query = select(_l.holder, func.count().label("number")).where(_l.until > now, _l.holder != "")
    rows = await conn.execute(query.group_by(_l.holder).order_by(func.count().desc(), _l.holder))
    return [BusyHolder(row.holder, row.number) for row in rows]


async def due(conn: AsyncConnection, now: datetime) -> DueConnections:
    """Count connections of every tenant that wait for a worker, as `connections.due`
    lists them.
    """
    query = select(func.count(), func.min(_c.next_due_at)).where(
        _c.paused_at.is_(None),
        _c.next_due_at <= now,
        _c.credential.is_not(None),
        _c.deleted_at.is_(None),
    )
    number, oldest_at = (await conn.execute(query)).one()
    return DueConnections(number, oldest_at)
