"""Read very many rows in parts, so that neither memory nor the event loop is filled."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Column, Row, ScalarSelect, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.list_lookups import Lookup, is_live, unindexed, with_one_of
from store.records import ConnectionId, TenantId

ROWS_IN_A_PART = 5000
VALUES_IN_A_QUERY = 500

T = TypeVar("T")


async def in_parts(
    conn: AsyncConnection, query: Select[Any], make: Callable[[Row[Any]], T]
) -> AsyncIterator[list[T]]:
    """Yield what `make` returns for each row, 5,000 rows at a time.

    Other tasks run between two parts.
    """
    with _collector_paused():
        async with conn.stream(query.execution_options(yield_per=ROWS_IN_A_PART)) as result:
            async for rows in result.partitions():
                yield [make(row) for row in rows]


def of_tenant(tenant_id: TenantId, connection_id: ConnectionId) -> ScalarSelect[str]:
    """Return the connection's id as a subquery that is empty for another tenant.

    Rows can then be counted by an index that has no tenant in it.
    """
    c = tables.connections.c
    return select(c.id).where(c.tenant_id == tenant_id, c.id == connection_id).scalar_subquery()


async def count_up_to(conn: AsyncConnection, query: Select[Any], most: int | None) -> int:
    """Count the rows of a query; counting ends at `most`, if that is given."""
    counted = query if most is None else query.limit(most)
    found: int = (await conn.execute(select(func.count()).select_from(counted.subquery()))).scalar_one()
    return found


async def rows_with(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    column: Column[Any],
    values: Collection[str],
    *,
    alive: bool = False,
) -> AsyncIterator[dict[str, Any]]:
    """Yield the connection's rows that have one of the values in a column.

    Values are looked up 500 at a time. `alive` leaves out deleted rows. The column
    holds ids, or is the second column of an index on `connection_id`.
    """
    query = _with_one_of(column, alive=alive)
    ordered = sorted(values)
    for start in range(0, len(ordered), VALUES_IN_A_QUERY):
        scope = {"tenant_id": tenant_id, "connection_id": connection_id}
        for row in await query.rows(conn, scope | {"values": ordered[start : start + VALUES_IN_A_QUERY]}):
            if row["connection_id"] == connection_id:
                yield row


_IDS = frozenset({"id", "group_id", "member_id"})
"""Columns of ids.

No two connections share an id, so the column's own index finds the rows.
"""


@cache
def _with_one_of(column: Column[Any], *, alive: bool) -> Lookup:
    c = column.table.c
    query = select(column.table).where(unindexed(c.tenant_id) == bindparam("tenant_id"))
    # Given the connection as well, SQLite reads all of it instead of looking the ids
    # up.
    if column.name not in _IDS:
        query = query.where(c.connection_id == bindparam("connection_id"))
    return with_one_of(query.where(is_live(column.table)) if alive else query, column, "values")


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause Python's garbage collector while records are made.

    Records hold no reference cycles, and the search for cycles took half of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
