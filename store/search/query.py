"""Finding users and groups by criteria: filtered, sorted, counted and paged in the
database.

Only the rows of the page are ever loaded, and one SQL statement is built for all
queries of one shape.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Table,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine import prepared_statements
from store.engine.list_lookups import is_live
from store.engine.prepared_statements import ROWS_IN_ONE_GO
from store.keys import SEVERAL_WORK_EMAILS, to_group, to_shown_user
from store.records import ConnectionId, Group, ShownUser, TenantId
from store.search.criteria import (
    All,
    AnyValue,
    Compare,
    Criterion,
    Kind,
    Not,
    Operator,
    Order,
    Parameter,
    Position,
    SearchQuery,
    Some,
    reads_every_row,
)
from store.search.dialects import Dialect, SearchKey, dialect_of
from store.search.sql import Row, sort_value, where
from store.sync.holder_notes import is_note_current

T = TypeVar("T", bound=ShownUser | Group)
_LOOKED_UP = frozenset({"id", "externalId", "userName", "displayName"})
_TABLES = {table.name: table for table in (tables.users, tables.groups)}
SHOWN = {
    table.name: [table.c[name] for name in ("seq", *record.__struct_fields__)]
    for table, record in ((tables.users, ShownUser), (tables.groups, Group))
}
"""Columns that a page reads of each row: every column that is not read, not converted
and not copied makes a look-up cheaper.
"""


class SearchPage(Struct, Generic[T], frozen=True):
    total: int | None
    """All rows that match, on all pages; None when it was not asked for."""
    items: list[T]
    next: Position | None = None
    previous: Position | None = None
    is_note_current: bool = False
    """Whether the first user's note of a match is; only a match query is told."""


async def users(
    connection: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, query: SearchQuery
) -> SearchPage[ShownUser]:
    """Return one page of the users of a connection that were not deleted."""
    rows, page = await _search(connection, tables.users, tenant_id, connection_id, query)
    found: list[ShownUser] = []
    for start in range(0, len(rows), ROWS_IN_ONE_GO):
        found += map(to_shown_user, rows[start : start + ROWS_IN_ONE_GO])
        if len(found) < len(rows):
            await asyncio.sleep(0)  # other requests go on
    is_current = query.is_match and bool(rows) and bool(rows[0]["is_note_current"])
    return SearchPage(page.total, found, page.next, page.previous, is_current)


async def groups(
    connection: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, query: SearchQuery
) -> SearchPage[Group]:
    """Return one page of the groups of a connection that were not deleted.

    Never their members.
    """
    rows, page = await _search(connection, tables.groups, tenant_id, connection_id, query)
    return SearchPage(page.total, [to_group(row) for row in rows], page.next, page.previous)


def is_single_statement(query: SearchQuery) -> bool:
    """Return whether it is a look-up: the first page of those with one name or id,
    which an index answers at once.
    """
    criterion = query.criterion
    return (
        isinstance(criterion, Compare)
        and criterion.operator is Operator.EQ
        and criterion.field.attribute in _LOOKED_UP
        and criterion.field.sub is criterion.field.extension is None
        and isinstance(criterion.value, str)
        and query.order is None
        and query.position is None
        and query.offset == 0
    )


class QueryShape(Struct, frozen=True):
    """All of a query that decides its SQL; the rest are values."""

    table: str
    criterion: Criterion | None
    order: Order | None
    position: Literal["none", "after", "after a missing value"]
    backward: bool
    by_work_email: bool
    is_looked_up: bool = False
    """Whether an index answers the criterion."""
    is_match: bool = False


async def _search(
    connection: AsyncConnection,
    table: Table,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    query: SearchQuery,
) -> tuple[list[prepared_statements.Row], SearchPage[Any]]:
    dialect = dialect_of(connection)
    values: dict[str, Any] = {}
    criterion = parametrized(query.criterion, values)
    email = _work_email(query.criterion)
    kind, backward = _position_kind(query), _is_backward(query)
    shape = QueryShape(
        table.name,
        criterion,
        query.order,
        kind,
        backward,
        email is not None,
        criterion is not None and not reads_every_row(query),
        query.is_match,
    )
    values |= {"tenant_id": tenant_id, "connection_id": connection_id, "work_email": email}
    rows: list[prepared_statements.Row] = []
    total: int | None
    if query.limit > 0 and query.counted and query.position is None and reads_every_row(query):
        page = {**values, "most": query.limit + 1, "skipped": query.offset}
        found = await prepared_statements.fetch(
            connection, _counted_page_statement(shape, dialect), page, gives_way=True
        )
        total = found[0]["total"]
        return _cut([row for row in found if row["seq"] is not None], query, total)
    if query.limit > 0:
        place = (
            {} if query.position is None else {"place_value": place_value(query), "place": query.position.seq}
        )
        page = {**values, **place, "most": query.limit + 1, "skipped": query.offset}
        rows = await prepared_statements.fetch(
            connection, _page_statement(shape, dialect), page, gives_way=query.limit > ROWS_IN_ONE_GO
        )
    total = await _total(connection, shape, dialect, values, query, rows)
    return _cut(rows, query, total)


async def _total(
    connection: AsyncConnection,
    shape: QueryShape,
    dialect: Dialect,
    values: dict[str, Any],
    query: SearchQuery,
    rows: list[prepared_statements.Row],
) -> int | None:
    """Count all rows that match, unless the page shows that it holds them all."""
    if not query.counted:
        return None
    is_first = query.offset == 0 and query.position is None
    if is_first and query.limit > 0 and len(rows) <= query.limit:
        return len(rows)
    [counted] = await prepared_statements.fetch(connection, _count_statement(shape, dialect), values)
    total: int = counted["total"]
    return total


@lru_cache(maxsize=512)
def _count_statement(shape: QueryShape, dialect: Dialect) -> Select[Any]:
    table = _TABLES[shape.table]
    return select(func.count().label("total")).select_from(table).where(*among(shape, dialect))


@lru_cache(maxsize=512)
def _page_statement(shape: QueryShape, dialect: Dialect) -> Select[Any]:
    """Select the rows of one page, and one more that tells whether there is another
    page.

    Row numbers are found first and documents loaded after, so that rows that are
    skipped cost an index entry only.
    """
    table = _TABLES[shape.table]
    value = None if shape.order is None else sort_value(shape.order.field, Row(table), dialect)
    found = select(table.c.seq).where(*among(shape, dialect))
    if shape.position != "none":
        found = found.where(_beyond(table, value, shape))
    ordering = _ordering(table, value, shape)
    numbers = found.order_by(*ordering).limit(bindparam("most")).offset(bindparam("skipped")).subquery()
    shown = [] if value is None else [value.label("sort_value")]
    chosen = select(*SHOWN[shape.table], *shown, *_notes(shape)).where(table.c.seq.in_(select(numbers.c.seq)))
    return chosen.order_by(*ordering)


def _notes(shape: QueryShape) -> list[ColumnElement[bool]]:
    return [is_note_current().label("is_note_current")] if shape.is_match else []


def among(shape: QueryShape, dialect: Dialect) -> list[ColumnElement[bool]]:
    """Return what is true of every row a query is about, on any page."""
    table = _TABLES[shape.table]
    # The tenant is asked of the connection, once: its column is in no index, and would
    # be read from every row.
    ours = select(tables.connections.c.id).where(
        tables.connections.c.id == bindparam("connection_id"),
        tables.connections.c.tenant_id == bindparam("tenant_id"),
    )
    conditions: list[ColumnElement[bool]] = [
        table.c.connection_id == bindparam("connection_id"),
        # Each look-up has an index over deleted rows too; without statistics, partial
        # indexes over the whole connection seem as good.
        is_live(table) if shape.is_looked_up else table.c.deleted_at.is_(None),
        exists(ours),
    ]
    if shape.criterion is not None:
        conditions.append(where(shape.criterion, Row(table), dialect))
    if shape.by_work_email:
        conditions.append(
            table.c.work_email_key.in_([bindparam("work_email", type_=SearchKey()), SEVERAL_WORK_EMAILS])
        )
    return conditions


@lru_cache(maxsize=512)
def _counted_page_statement(shape: QueryShape, dialect: Dialect) -> Select[Any]:
    """Select the rows of a page by index, with the number of all rows that match.

    Where no index answers, every row is judged: once, and not again for the number. A
    page without rows is one row that holds the number alone.
    """
    table = _TABLES[shape.table]
    value = None if shape.order is None else sort_value(shape.order.field, Row(table), dialect)
    shown = [] if value is None else [value.label("sort_value")]
    hits = select(table.c.seq, *shown).where(*among(shape, dialect)).cte("hits")
    order = _ordering(hits, hits.c.get("sort_value"), shape)
    numbers = select(hits.c.seq).order_by(*order).limit(bindparam("most")).offset(bindparam("skipped"))
    chosen = (
        select(*SHOWN[shape.table], *shown, *_notes(shape)).where(table.c.seq.in_(numbers)).subquery("page")
    )
    counted = select(func.count().label("total")).select_from(hits).subquery("counted")
    rows = select(counted.c.total, *chosen.c).select_from(counted.outerjoin(chosen, true()))
    return rows.order_by(*_ordering(chosen, chosen.c.get("sort_value"), shape))


def _position_kind(query: SearchQuery) -> Literal["none", "after", "after a missing value"]:
    if query.position is None:
        return "none"
    return "after a missing value" if query.position.value is None else "after"


def _is_backward(query: SearchQuery) -> bool:
    return query.position is not None and query.position.backward


def _ordering(table: FromClause, value: Any, shape: QueryShape) -> list[ColumnElement[Any]]:
    """Order by the sort value, those without one last (RFC 7644 §3.4.2.3), then by the
    order of creation.
    """
    # Adding nothing keeps a planner from walking the whole index of `seq` to save
    # itself a sort of two rows.
    number = table.c.seq + literal_column("0") if shape.is_looked_up else table.c.seq
    seq = number.desc() if shape.backward else number.asc()
    if value is None or shape.order is None:
        return [seq]
    descending = shape.order.descending != shape.backward
    missing = value.is_(None)
    return [missing.desc() if descending else missing.asc(), value.desc() if descending else value.asc(), seq]


def _beyond(table: Table, value: Any, shape: QueryShape) -> ColumnElement[bool]:
    """Return what is true of the rows after a position, or before it when going
    backward.
    """
    place = bindparam("place", type_=table.c.seq.type)
    seq = table.c.seq < place if shape.backward else table.c.seq > place
    if value is None or shape.order is None:
        return seq
    descending = shape.order.descending != shape.backward
    if shape.position == "after a missing value":
        same = and_(value.is_(None), seq)
        return or_(same, value.is_not(None)) if descending else same
    there = bindparam("place_value", type_=value.type)
    same = and_(value == there, seq)
    return or_(value < there, same) if descending else or_(value > there, value.is_(None), same)


def _cut(
    rows: list[prepared_statements.Row], query: SearchQuery, total: int | None
) -> tuple[list[prepared_statements.Row], SearchPage[Any]]:
    backward = _is_backward(query)
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    if backward:
        rows.reverse()
    first = _position(rows[0], backward=True) if rows and (more if backward else _has_former(query)) else None
    last = _position(rows[-1], backward=False) if rows and (backward or more) else None
    return rows, SearchPage(total, [], last, first)


def _has_former(query: SearchQuery) -> bool:
    return query.position is not None or query.offset > 0


def _position(row: prepared_statements.Row, *, backward: bool) -> Position:
    return Position(plain(row.get("sort_value")), row["seq"], backward)


def plain(value: Any) -> str | bool | int | float | None:
    """Return a sort value as a position holds it: a time as ISO 8601, since positions
    travel as JSON.
    """
    result: str | bool | int | float | None = value.isoformat() if isinstance(value, datetime) else value
    return result


def place_value(query: SearchQuery) -> Any:
    """Return the sort value of a query's position as the database compares it."""
    value = None if query.position is None else query.position.value
    is_time = query.order is not None and query.order.field.kind is Kind.TIME
    return datetime.fromisoformat(str(value)) if is_time and value is not None else value


def parametrized(criterion: Criterion | None, values: dict[str, Any]) -> Criterion | None:
    """Take the values out of a criterion, into `values`: what is left is the same for
    all that differ in values only.
    """
    return None if criterion is None else _without_values(criterion, values)


def _without_values(criterion: Criterion, values: dict[str, Any]) -> Criterion:
    if isinstance(criterion, Not):
        return Not(_without_values(criterion.inner, values))
    if isinstance(criterion, AnyValue):
        return AnyValue(criterion.field, _without_values(criterion.inner, values))
    if isinstance(criterion, All):
        return All(tuple(_without_values(term, values) for term in criterion.terms))
    if isinstance(criterion, Some):
        return Some(tuple(_without_values(term, values) for term in criterion.terms))
    if not isinstance(criterion, Compare) or criterion.value is None:
        return criterion
    name, value = f"value_{len(values)}", criterion.value
    values[name] = datetime.fromisoformat(str(value)) if criterion.field.kind is Kind.TIME else value
    is_ascii = not isinstance(value, str) or value.isascii()
    return Compare(criterion.field, criterion.operator, Parameter(name, is_ascii))


def _work_email(criterion: Criterion | None) -> str | None:
    """Return the address in `emails[type eq "work"].value eq "…"`, by which Entra may
    match people.

    There is an index for it; without, every document would be read (Microsoft Learn,
    matching attributes).
    """
    if not isinstance(criterion, AnyValue) or criterion.field.attribute != "emails":
        return None
    terms = criterion.inner.terms if isinstance(criterion.inner, All) else ()
    wanted = {
        term.field.attribute: term.value
        for term in terms
        if isinstance(term, Compare) and term.operator is Operator.EQ
    }
    is_work = str(wanted.get("type")).lower() == "work"
    return str(wanted["value"]) if is_work and isinstance(wanted.get("value"), str) else None
