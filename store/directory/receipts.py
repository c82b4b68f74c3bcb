"""Receipts: what ended with a person's access, and what the vendor's app knows of it.

`store.lifecycle` writes one in the transaction that ends a period of access.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.keys import utc_now
from store.records import ConnectionId, Origin, Receipt, TenantId, UserId

ACKNOWLEDGED_WITHIN = timedelta(minutes=5)
"""How long the vendor's app has, before people are told that it does not know."""

_c = tables.receipts.c


def _to_receipt(row: RowMapping) -> Receipt:
    fields = dict(row)
    fields["origin"], fields["ended"] = Origin(fields["origin"]), tuple(fields["ended"])
    return Receipt(**fields)


async def list_for_user(conn: AsyncConnection, tenant_id: TenantId, user_id: UserId) -> list[Receipt]:
    """Return the receipts of an account and all its holders, the newest first."""
    query = select(tables.receipts).where(_c.tenant_id == tenant_id, _c.user_id == user_id)
    return await _read(conn, query.order_by(_c.period.desc()))


async def unacknowledged(
    conn: AsyncConnection,
    tenant_id: TenantId,
    older_than: datetime,
    *,
    connection_id: ConnectionId | None = None,
    limit: int = 100,
) -> list[Receipt]:
    """Return receipts that the app has not acknowledged since this time, the oldest
    first.
    """
    query = select(tables.receipts).where(
        _c.tenant_id == tenant_id, _c.acknowledged_at.is_(None), _c.at < older_than
    )
    if connection_id is not None:
        query = query.where(_c.connection_id == connection_id)
    return await _read(conn, query.order_by(_c.at).limit(limit))


async def count_unacknowledged(conn: AsyncConnection, older_than: datetime, *, most: int = 1_000) -> int:
    """Count receipts of all tenants that the app has not acknowledged since this time.

    Receipts of periods in which nothing was held are left out. At most `most` are read.
    """
    query = select(_c.ended).where(_c.acknowledged_at.is_(None), _c.at < older_than)
    return sum(bool(ended) for ended in (await conn.execute(query.limit(most))).scalars())


async def get(conn: AsyncConnection, tenant_id: TenantId, receipt_id: str) -> Receipt | None:
    """Return a receipt of the tenant."""
    found = await _read(conn, select(tables.receipts).where(_c.tenant_id == tenant_id, _c.id == receipt_id))
    return found[0] if found else None


async def acknowledge(
    conn: AsyncConnection, tenant_id: TenantId, receipt_id: str, by: str, *, now: datetime | None = None
) -> Receipt | None:
    """Note that the app ended what the receipt names; None for an unknown receipt.

    The first acknowledgement stays.
    """
    first = update(tables.receipts).where(
        _c.tenant_id == tenant_id, _c.id == receipt_id, _c.acknowledged_at.is_(None)
    )
    await conn.execute(first.values(acknowledged_at=now or utc_now(), acknowledged_by=by))
    return await get(conn, tenant_id, receipt_id)


async def _read(conn: AsyncConnection, query: Select[Any]) -> list[Receipt]:
    return [_to_receipt(row) for row in (await conn.execute(query)).mappings()]
