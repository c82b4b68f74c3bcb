"""Many tenants with one connection each, as copies of one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import Connection, ConnectionId


async def copy_tenants(
    conn: AsyncConnection, original: Connection, number: int, due_at: datetime, prefix: str = "copy"
) -> list[ConnectionId]:
    """Adds tenants whose connections are like this one, all due at the same time; gives their ids."""
    tenant = select(tables.tenants).where(tables.tenants.c.id == original.tenant_id)
    [tenant_row] = (await conn.execute(tenant)).mappings().all()
    connection = select(tables.connections).where(tables.connections.c.id == original.id)
    [connection_row] = (await conn.execute(connection)).mappings().all()
    names = [f"{prefix}{each}" for each in range(number)]
    await conn.execute(insert(tables.tenants), [{**tenant_row, "id": name, "slug": name} for name in names])
    await conn.execute(
        insert(tables.connections),
        [{**connection_row, "id": name, "tenant_id": name, "next_due_at": due_at} for name in names],
    )
    return [ConnectionId(name) for name in names]
