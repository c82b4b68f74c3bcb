"""Finding users and groups by criteria: filtered, sorted, counted and paged in the database, so that only
the rows of
the page are ever loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, RowMapping, Select, Table, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.criteria import All, AnyValue, Compare, Criterion, Operator, Position, Query
from store.records import ConnectionId, Group, GroupId, Membership, TenantId, User
from store.rows import search_key, to_group, to_membership, to_user
from store.search_sql import Dialect, Row, dialect_of, sort_value, where

T = TypeVar("T", User, Group)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    total: int | None
    """All rows that match, on whatever page; None when it was not asked for."""
    items: list[T]
    next: Position | None = None
    previous: Position | None = None


async def users(
    connection: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, query: Query
) -> Page[User]:
    """Return one page of the users of a connection that were not deleted."""
    rows, page = await _search(connection, tables.users, tenant_id, connection_id, query)
    return Page(page.total, [to_user(row) for row in rows], page.next, page.previous)


async def groups(
    connection: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, query: Query
) -> Page[Group]:
    """Return one page of the groups of a connection that were not deleted; never their members."""
    rows, page = await _search(connection, tables.groups, tenant_id, connection_id, query)
    return Page(page.total, [to_group(row) for row in rows], page.next, page.previous)


async def _search(
    connection: AsyncConnection, table: Table, tenant_id: TenantId, connection_id: ConnectionId, query: Query
) -> tuple[list[RowMapping], Page[Any]]:
    dialect = dialect_of(connection)
    among = [
        table.c.connection_id == connection_id,
        table.c.tenant_id == tenant_id,
        table.c.deleted_at.is_(None),
    ]
    if query.criterion is not None:
        among += [*_indexed(query.criterion, table), where(query.criterion, Row(table), dialect)]
    total = None
    if query.counted:
        total = (await connection.execute(select(func.count()).select_from(table).where(*among))).scalar_one()
    if query.limit <= 0 or total == 0:
        return [], Page(total, [])
    rows = list((await connection.execute(_page(table, among, query, dialect))).mappings())
    return _cut(rows, query, total)


def _page(table: Table, among: list[ColumnElement[bool]], query: Query, dialect: Dialect) -> Select[Any]:
    """Select the rows of one page, and one more that tells whether there is another page.

    Row numbers are found first and documents loaded after, so that rows that are skipped cost an index entry
    only.
    """
    backward = query.position is not None and query.position.backward
    value = None if query.order is None else sort_value(query.order.field, Row(table), dialect)
    found = select(table.c.seq).where(*among)
    if query.position is not None:
        found = found.where(_beyond(table, value, query))
    numbers = (
        found.order_by(*_ordering(table, value, query, backward)).limit(query.limit + 1).offset(query.offset)
    )
    shown = None if value is None else value.label("sort_value")
    columns = [*table.c, shown] if shown is not None else [*table.c]
    chosen = select(*columns).where(table.c.seq.in_(select(numbers.subquery().c.seq)))
    return chosen.order_by(*_ordering(table, value, query, backward))


def _ordering(table: Table, value: Any, query: Query, backward: bool) -> list[ColumnElement[Any]]:
    """Order by the sort value, those without one last (RFC 7644 §3.4.2.3), then by the order of creation."""
    seq = table.c.seq.desc() if backward else table.c.seq.asc()
    if value is None or query.order is None:
        return [seq]
    descending = query.order.descending != backward
    missing = value.is_(None)
    return [missing.desc() if descending else missing.asc(), value.desc() if descending else value.asc(), seq]


def _beyond(table: Table, value: Any, query: Query) -> ColumnElement[bool]:
    """Return what is true of the rows after a position, or before it when going backward."""
    position = query.position
    assert position is not None
    seq = table.c.seq < position.seq if position.backward else table.c.seq > position.seq
    if value is None or query.order is None:
        return seq
    descending = query.order.descending != position.backward
    if position.value is None:
        same = and_(value.is_(None), seq)
        return or_(same, value.is_not(None)) if descending else same
    same = and_(value == position.value, seq)
    return (
        or_(value < position.value, same)
        if descending
        else or_(value > position.value, value.is_(None), same)
    )


def _cut(rows: list[RowMapping], query: Query, total: int | None) -> tuple[list[RowMapping], Page[Any]]:
    backward = query.position is not None and query.position.backward
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    if backward:
        rows.reverse()
    first = _position(rows[0], backward=True) if rows and (more if backward else _has_former(query)) else None
    last = _position(rows[-1], backward=False) if rows and (backward or more) else None
    return rows, Page(total, [], last, first)


def _has_former(query: Query) -> bool:
    return query.position is not None or query.offset > 0


def _position(row: RowMapping, *, backward: bool) -> Position:
    return Position(row.get("sort_value"), row["seq"], backward)


def _indexed(criterion: Criterion, table: Table) -> list[ColumnElement[bool]]:
    """Return conditions an index answers and every match fulfils: Entra may match people by their work
    e-mail.

    `emails[type eq "work"].value eq "…"` (Microsoft Learn, matching attributes) would otherwise read every
    document.
    """
    if (
        table is not tables.users
        or not isinstance(criterion, AnyValue)
        or criterion.field.attribute != "emails"
    ):
        return []
    terms = criterion.inner.terms if isinstance(criterion.inner, All) else ()
    wanted = {
        term.field.attribute: term.value
        for term in terms
        if isinstance(term, Compare) and term.operator is Operator.EQ
    }
    if str(wanted.get("type", "")).lower() != "work" or not isinstance(wanted.get("value"), str):
        return []
    return [table.c.work_email_key == search_key(str(wanted["value"]))]


async def members(
    connection: AsyncConnection, tenant_id: TenantId, group_id: GroupId, after: str | None, limit: int
) -> list[Membership]:
    """Return the members of a group in the order of their ids, from the one after `after`."""
    columns = tables.memberships.c
    query = select(tables.memberships).where(columns.group_id == group_id, columns.tenant_id == tenant_id)
    if after is not None:
        query = query.where(columns.member_id > after)
    rows = await connection.execute(query.order_by(columns.member_id).limit(limit))
    return [to_membership(row) for row in rows.mappings()]
