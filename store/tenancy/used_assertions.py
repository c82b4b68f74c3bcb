"""Assertions that were exchanged for an access token, kept until they expire.

None is exchanged twice.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import ConnectionId, TenantId

_c = tables.spent_assertions.c


async def mark_used(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    uti: str,
    expires_at: datetime,
    now: datetime,
) -> bool:
    """Record that an assertion was presented; return whether this was the first time.

    The database decides between two that arrive at the same instant, on any server.
    Expired assertions are deleted.
    """
    ended = delete(tables.spent_assertions).where(
        _c.tenant_id == tenant_id, _c.connection_id == connection_id, _c.expires_at < now
    )
    await conn.execute(ended)
    values = {
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "uti": uti,
        "expires_at": expires_at,
    }
    dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
    noted = await conn.execute(
        dialect.insert(tables.spent_assertions).values(values).on_conflict_do_nothing()
    )
    return noted.rowcount == 1
