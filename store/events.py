"""Events: what the vendor's app is told. Written by `store.lifecycle` with the change, read here in order."""

from __future__ import annotations

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import Event, TenantId

_c = tables.events.c


def _to_event(row: RowMapping) -> Event:
    return Event(**row)


async def since(
    conn: AsyncConnection, tenant_id: TenantId, after_id: int = 0, limit: int = 100
) -> list[Event]:
    """Gives the tenant's events after the one with this id, the oldest first.

    PostgreSQL gives ids before transactions end: an event may become readable after one with a greater id. A listener
    that must miss none asks again from a little before, and knows by their ids those it has had.
    """
    query = select(tables.events).where(_c.tenant_id == tenant_id, _c.id > after_id)
    rows = await conn.execute(query.order_by(_c.id).limit(limit))
    return [_to_event(row) for row in rows.mappings()]
