"""Everything that is stored sealed, for the change of the key that sealed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import TenantId

SEALED: tuple[Column[str], ...] = (
    tables.connections.c.credential,
    tables.webhook_endpoints.c.secret,
    tables.webhook_endpoints.c.previous_secret,
    tables.signing_keys.c.private,
)
"""Columns of sealed text. Their tables have `id` and `tenant_id`."""


@dataclass(frozen=True, slots=True)
class SealedValue:
    """One sealed text and its place."""

    table: str
    id: str
    tenant_id: TenantId | None
    """None: an operator's own."""
    sealed: str = field(repr=False)
    column: str


async def list_sealed(conn: AsyncConnection) -> list[SealedValue]:
    """Return every sealed text of every tenant."""
    found: list[SealedValue] = []
    for column in SEALED:
        row = column.table.c
        query = select(row.id, row.tenant_id, column).where(column.is_not(None))
        rows = await conn.execute(query)
        found += [
            SealedValue(column.table.name, row_id, tenant_id, sealed, column.name)
            for row_id, tenant_id, sealed in rows
        ]
    return found


async def replace_sealed(conn: AsyncConnection, values: Sequence[tuple[SealedValue, str]]) -> int:
    """Store the same secrets under another key, and return how many were changed.

    One that was replaced meanwhile is left as it is.
    """
    changed = 0
    for value, resealed in values:
        place = value.table, value.column
        [column] = [each for each in SEALED if (each.table.name, each.name) == place]
        row = column.table.c
        statement = (
            update(column.table)
            .where(
                row.tenant_id.is_not_distinct_from(value.tenant_id),
                row.id == value.id,
                column == value.sealed,
            )
            .values({column: resealed})
        )
        changed += (await conn.execute(statement)).rowcount
    return changed
