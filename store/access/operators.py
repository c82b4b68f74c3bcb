"""Operators: people who enter the console by an invitation."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.access.records import ConsoleOperator, Role
from store.errors import UniquenessConflict
from store.keys import new_id, utc_now
from store.logs import audit_log
from store.records import TenantId

_c = tables.operators.c


def _to_operator(row: RowMapping) -> ConsoleOperator:
    return ConsoleOperator(**{**row, "role": Role(row["role"])})


async def create(
    conn: AsyncConnection,
    tenant_id: TenantId | None,
    name: str,
    role: Role,
    *,
    actor: str = audit_log.NOBODY,
    now: datetime | None = None,
) -> ConsoleOperator:
    """Create an operator. Raises `UniquenessConflict` for a name that is in use."""
    if await find(conn, name) is not None:
        raise UniquenessConflict("name", name)
    made = ConsoleOperator(new_id(), tenant_id, name, role, now or utc_now(), actor)
    await conn.execute(
        insert(tables.operators).values(
            id=made.id,
            tenant_id=tenant_id,
            name=name,
            role=role.value,
            created_at=made.created_at,
            created_by=actor,
        )
    )
    return made


async def find(conn: AsyncConnection, reference: str) -> ConsoleOperator | None:
    """Return the operator with this name or id, unless removed."""
    query = select(tables.operators).where(_c.removed_at.is_(None))
    query = query.where((_c.id == reference) | (_c.name == reference))
    row = (await conn.execute(query.order_by(_c.id))).mappings().first()
    return None if row is None else _to_operator(row)


async def list_all(conn: AsyncConnection) -> list[ConsoleOperator]:
    """Return the operators that were not removed, by name."""
    query = select(tables.operators).where(_c.removed_at.is_(None)).order_by(_c.name)
    return [_to_operator(row) for row in (await conn.execute(query)).mappings()]


async def remove(conn: AsyncConnection, operator: ConsoleOperator, *, now: datetime | None = None) -> None:
    """End the access of an operator: sessions and links work no more."""
    values = {"removed_at": now or utc_now()}
    await conn.execute(update(tables.operators).where(_c.id == operator.id).values(values))
