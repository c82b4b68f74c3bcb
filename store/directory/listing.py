"""Find one row among users or groups, and list them for a person: by part of a name, by
state, page by page.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, RowMapping, Select, Table, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import Row, fetch
from store.engine.streaming import of_tenant
from store.keys import search_key, to_group, to_user, utc_now
from store.records import ConnectionId, Group, GroupId, TenantId, User, UserId

T = TypeVar("T")

_u, _g, _m, _s = tables.users.c, tables.groups.c, tables.memberships.c, tables.sessions.c


@dataclass(frozen=True, slots=True)
class DirectoryPage(Generic[T]):
    """Records in the order of their creation."""

    items: tuple[T, ...]
    next: int | None = None
    """The `after` of the next page; None on the last."""


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users are listed."""

    name: str | None = None
    """A part of userName or displayName, without regard to case."""
    active: bool | None = None
    deleted: bool = False
    """True lists deleted accounts alone."""
    sealed: bool = False
    """True lists sealed accounts alone."""


async def users(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    wanted: UserFilter | None = None,
    *,
    after: int = 0,
    limit: int = 50,
) -> DirectoryPage[User]:
    """Return a page of the users of a connection."""
    wanted = wanted or UserFilter()
    query = _of(tables.users, tenant_id, connection_id, after)
    query = query.where(_u.deleted_at.is_not(None) if wanted.deleted else _u.deleted_at.is_(None))
    if wanted.active is not None:
        query = query.where(_u.active if wanted.active else ~_u.active)
    if wanted.sealed:
        query = query.where(_u.sealed_at.is_not(None))
    if wanted.name:
        query = query.where(_contains(wanted.name, _u.user_name_key, _u.display_name_key))
    rows, following = await _page(conn, query, limit)
    return DirectoryPage(tuple(map(to_user, rows)), following)


async def groups(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    *,
    name: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> DirectoryPage[Group]:
    """Return a page of the groups of a connection that are not deleted."""
    query = _of(tables.groups, tenant_id, connection_id, after).where(_g.deleted_at.is_(None))
    if name:
        query = query.where(_contains(name, _g.display_name_key))
    rows, following = await _page(conn, query, limit)
    return DirectoryPage(tuple(map(to_group, rows)), following)


async def count_rows(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId
) -> Mapping[str, int]:
    """Return how many users and groups a connection has, by resource type."""
    ours = of_tenant(tenant_id, connection_id)
    counts = {
        "User": select(func.count()).where(_u.connection_id == ours, _u.deleted_at.is_(None)),
        "Group": select(func.count()).where(_g.connection_id == ours, _g.deleted_at.is_(None)),
    }
    found = {name: (await conn.execute(query)).scalar_one() for name, query in counts.items()}
    return {name: number for name, number in found.items() if number}


async def count_members(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, group_ids: Collection[GroupId]
) -> Mapping[GroupId, int]:
    """Return how many members each of the groups has; an empty one is left out."""
    query = (
        select(_m.group_id, func.count())
        .where(_m.connection_id == of_tenant(tenant_id, connection_id), _m.group_id.in_(group_ids))
        .group_by(_m.group_id)
    )
    return {GroupId(group_id): int(number) for group_id, number in await conn.execute(query)}


async def count_sealed(conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId) -> int:
    """Count the sealed accounts with access."""
    query = select(func.count()).where(
        _u.connection_id == of_tenant(tenant_id, connection_id),
        _u.deleted_at.is_(None),
        _u.active,
        _u.sealed_at.is_not(None),
    )
    found: int = (await conn.execute(query)).scalar_one()
    return found


async def count_sessions(conn: AsyncConnection, tenant_id: TenantId, user_id: UserId) -> int:
    """Count the sessions of a user that still work."""
    now = utc_now()
    query = select(func.count()).where(
        _s.tenant_id == tenant_id,
        _s.user_id == user_id,
        _s.revoked_at.is_(None),
        _s.expires_at > now,
        _s.idle_until > now,
    )
    found: int = (await conn.execute(query)).scalar_one()
    return found


def _of(table: Table, tenant_id: TenantId, connection_id: ConnectionId, after: int) -> Select[Any]:
    c = table.c
    return (
        select(table)
        .where(c.connection_id == of_tenant(tenant_id, connection_id), c.seq > after)
        .order_by(c.seq)
    )


def _contains(name: str, *columns: ColumnElement[Any]) -> ColumnElement[bool]:
    return or_(*(column.contains(search_key(name), autoescape=True) for column in columns))


async def _page(conn: AsyncConnection, query: Select[Any], limit: int) -> tuple[list[Any], int | None]:
    rows = list((await conn.execute(query.limit(limit + 1))).mappings())
    return rows[:limit], rows[limit - 1]["seq"] if len(rows) > limit else None


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
