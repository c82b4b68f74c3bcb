"""Where the next incremental read of Graph continues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import ConnectionId, TenantId
from store.rows import utc_now

_c = tables.delta_links.c


@dataclass(frozen=True, slots=True)
class DeltaLink:
    name: str
    """The resource, `users` or `groups`."""
    link: str
    context: str
    """What was asked for (`$select`, scope), as one string: a link made for something else is not followed."""
    saved_at: datetime


async def get(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, name: str
) -> DeltaLink | None:
    query = select(_c.name, _c.link, _c.context, _c.saved_at).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.name == name
    )
    row = (await conn.execute(query)).mappings().first()
    return None if row is None else DeltaLink(**row)


async def put(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    name: str,
    link: str,
    *,
    context: str = "",
    now: datetime | None = None,
) -> None:
    """Saves the link in place of the one before."""
    mine = (_c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.name == name)
    values = {"link": link, "context": context, "saved_at": now or utc_now()}
    changed = await conn.execute(update(tables.delta_links).where(*mine).values(**values))
    if changed.rowcount == 0:
        await conn.execute(
            insert(tables.delta_links).values(
                tenant_id=tenant_id, connection_id=connection_id, name=name, **values
            )
        )


async def drop(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, name: str | None = None
) -> None:
    """Forgets one link, or all of the connection: the next cycle reads everything."""
    statement = delete(tables.delta_links).where(_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    await conn.execute(statement if name is None else statement.where(_c.name == name))
