"""Events: what the vendor's app is told. Written by `store.lifecycle` with the change, read here in order."""

from __future__ import annotations

from sqlalchemy import RowMapping, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import Event, TenantId

_c = tables.events.c

# PostgreSQL gives ids before transactions end, so an event may be committed after one with a greater id. Held back is
# what was not written before the oldest transaction that still runs: an event below it can still come. A writer has
# its transaction number before it draws an id (migration 0003), so none can come from below unseen. `xmin` is the
# transaction that wrote the row, age() counts back from now, and turns negative after 2^31 of them. SQLite has one
# writer at a time, and no such gap.
_SETTLED = text("age(events.xmin) NOT BETWEEN 0 AND age(pg_snapshot_xmin(pg_current_snapshot())::xid)")


def _to_event(row: RowMapping) -> Event:
    return Event(**row)


async def since(
    conn: AsyncConnection, tenant_id: TenantId, after_id: int = 0, limit: int = 100
) -> list[Event]:
    """Gives the tenant's events after the one with this id, the oldest first; who asks on from the last misses none."""
    query = select(tables.events).where(_c.tenant_id == tenant_id, _c.id > after_id)
    if conn.dialect.name == "postgresql":
        query = query.where(_SETTLED)
    rows = await conn.execute(query.order_by(_c.id).limit(limit))
    return [_to_event(row) for row in rows.mappings()]
