"""Conflicts of the push that a cycle looks at alone and at once (identity.md, W1, W3).

A conflict is kept from the request that caused it until a cycle finds it over, so that
neither a restart nor a failed cycle loses it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import Row, fetch, fetch_tuples
from store.records import ConnectionId, GraphId, TenantId
from store.records.drift import ConflictKind, PushConflict

WAKE_GAP = timedelta(minutes=1)
"""Between the end of a cycle and one that a conflict asks for: refused requests that
repeat cannot keep a worker busy with one connection.
"""

_c = tables.push_conflicts.c
_of = tables.connections.c


_ALL = (
    select(tables.push_conflicts)
    .where(_c.tenant_id == bindparam("of_tenant"), _c.connection_id == bindparam("of_connection"))
    .order_by(_c.at, _c.account_id, _c.object_id)
)
_UNREAD = (
    select(_c.object_id)
    .where(_c.tenant_id == bindparam("of_tenant"), _c.connection_id == bindparam("of_connection"))
    .where(_c.is_read.is_(False))
    .limit(1)
)


def _to_conflict(row: Row) -> PushConflict:
    return PushConflict(
        ConflictKind(row["kind"]),
        row["account_id"],
        GraphId(row["object_id"]),
        row["other_id"],
        row["at"],
        row["is_read"],
    )


async def note(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, conflict: PushConflict
) -> None:
    """Keep a conflict, in place of an earlier one of the same account and person, and
    make the connection due.
    """
    mine = (_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    key = {"account_id": conflict.account_id, "object_id": conflict.object_id}
    values: dict[str, Any] = {
        "kind": conflict.kind.value,
        "other_id": conflict.other_id,
        "at": conflict.at,
        "is_read": False,
    }
    same = (_c.account_id == conflict.account_id, _c.object_id == conflict.object_id)
    changed = await conn.execute(update(tables.push_conflicts).where(*mine, *same).values(**values))
    if changed.rowcount == 0:
        row = {"tenant_id": tenant_id, "connection_id": connection_id, **key, **values}
        await conn.execute(insert(tables.push_conflicts).values(row))
    await _bring_forward(conn, tenant_id, connection_id, conflict.at)


async def _bring_forward(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, now: datetime
) -> None:
    """Make the connection due: now, or a little after its last cycle.

    Neither an earlier due time nor the delay after a failure is changed.
    """
    row = (_of.tenant_id == tenant_id, _of.id == connection_id, _of.deleted_at.is_(None))
    query = select(_of.last_cycle_at).where(
        *row, _of.next_due_at > now, _of.consecutive_failures == 0, _of.quarantined_at.is_(None)
    )
    found = (await conn.execute(query)).first()
    if found is None:
        return
    at = now if found.last_cycle_at is None else max(now, found.last_cycle_at + WAKE_GAP)
    await conn.execute(update(tables.connections).where(*row, _of.next_due_at > at).values(next_due_at=at))


async def load(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> tuple[PushConflict, ...]:
    """Return the conflicts that are not over, the oldest first."""
    rows = await fetch(conn, _ALL, {"of_tenant": tenant_id, "of_connection": connection_id})
    return tuple(map(_to_conflict, rows))


async def settle(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    looked_at: Collection[PushConflict],
    standing: Collection[PushConflict],
) -> bool:
    """Drop the conflicts that a cycle looked at and found over, note that the others
    were read, and return whether any is still to be read.

    One that happened again meanwhile is another one: it stays as it is.
    """
    mine = (_c.tenant_id == tenant_id, _c.connection_id == connection_id)
    for conflict in looked_at:
        same = (
            _c.account_id == conflict.account_id,
            _c.object_id == conflict.object_id,
            _c.at == conflict.at,
        )
        if conflict in standing:
            await conn.execute(update(tables.push_conflicts).where(*mine, *same).values(is_read=True))
        else:
            await conn.execute(delete(tables.push_conflicts).where(*mine, *same))
    unread = await fetch_tuples(conn, _UNREAD, {"of_tenant": tenant_id, "of_connection": connection_id})
    return bool(unread)
