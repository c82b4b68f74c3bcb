"""Note when the holder of an account was last seen, once the holder is missing."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import ConnectionId, TenantId
from store.sync import cycles

MOST_IDS = 500

_c = tables.users.c
_NOTE = (
    update(tables.users)
    .where(
        _c.tenant_id == bindparam("noted_tenant"),
        _c.connection_id == bindparam("noted_connection"),
        _c.id.in_(bindparam("ids", expanding=True)),
        _c.holder_seen_at.is_(None),
    )
    .values(holder_seen_at=bindparam("seen_at"))
)


async def note(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, user_ids: Collection[str]
) -> None:
    """Note for these accounts that their holder was last seen in the last complete
    reading.

    It is no change of the account: its version stays, and the first note counts. To be
    called before the present cycle is recorded as complete.
    """
    seen_at = await cycles.last_read_at(conn, tenant_id, connection_id) if user_ids else None
    if seen_at is None:
        return
    scope = {"noted_tenant": tenant_id, "noted_connection": connection_id, "seen_at": seen_at}
    ids = sorted(user_ids)
    for start in range(0, len(ids), MOST_IDS):
        await conn.execute(_NOTE, {**scope, "ids": ids[start : start + MOST_IDS]})
