"""Find one row among users or among groups."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Column, RowMapping, Select, Table, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.prepared_statements import Row, fetch
from store.records import ConnectionId, TenantId


async def find_by_id(
    conn: AsyncConnection,
    tenant_id: TenantId,
    table: Table,
    row_id: str,
    connection_id: ConnectionId | None,
    *,
    deleted: bool,
) -> Row | None:
    """Return the tenant's row, of this connection if one is given.

    A deleted row is found with `deleted` only.
    """
    values = {"id": row_id, "tenant_id": tenant_id, "connection_id": connection_id}
    rows = await fetch(conn, _by_id(table, of_connection=connection_id is not None, deleted=deleted), values)
    return rows[0] if rows else None


@cache
def _by_id(table: Table, *, of_connection: bool, deleted: bool) -> Select[Any]:
    c = table.c
    query = select(table).where(c.id == bindparam("id"), c.tenant_id == bindparam("tenant_id"))
    if of_connection:
        query = query.where(c.connection_id == bindparam("connection_id"))
    return query if deleted else query.where(c.deleted_at.is_(None))


async def find_one(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, column: Column[Any], value: str
) -> RowMapping | None:
    """Return the earliest created row of a connection with this value in a column.

    Deleted rows are left out. Several rows may have one `externalId`: SCIM does not
    make it unique.
    """
    table, c = column.table, column.table.c
    query = select(table).where(
        c.tenant_id == tenant_id, c.connection_id == connection_id, c.deleted_at.is_(None), column == value
    )
    return (await conn.execute(query.order_by(c.seq).limit(1))).mappings().first()
