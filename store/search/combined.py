"""Users and groups as one list: filtered, sorted, counted and paged in the database
(RFC 7644 §3.4.2.1).

One statement over both tables finds which rows are on the page, then their documents
are loaded: those of the page and no others. What the two types are searched for may
differ, since a filter means something else for each.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from msgspec import structs
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    String,
    Subquery,
    Table,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.keys import to_group, to_shown_user
from store.records import ConnectionId, Group, ShownUser, TenantId
from store.search.criteria import Kind, Order, Position, SearchQuery
from store.search.dialects import TYPES, Dialect, dialect_of
from store.search.query import SHOWN, QueryShape, SearchPage, among, parametrized, place_value, plain
from store.search.sql import Row, sort_value

_TABLES = (tables.users, tables.groups)


async def users_and_groups(
    connection: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    of_users: SearchQuery,
    of_groups: SearchQuery,
) -> SearchPage[ShownUser | Group]:
    """Return one page of both: users before groups where nothing else orders them.

    The page is that of `of_users`; of `of_groups` only criterion and order count.
    """
    dialect = dialect_of(connection)
    values: dict[str, Any] = {"tenant_id": tenant_id, "connection_id": connection_id}
    shapes: list[QueryShape] = []
    for table, query in zip(_TABLES, (of_users, of_groups), strict=True):
        criterion = parametrized(query.criterion, values)
        shapes.append(QueryShape(table.name, criterion, query.order, "none", False, False))
    query = structs.replace(of_users, order=of_users.order or of_groups.order)
    both = (shapes[0], shapes[1])
    found: list[Any] = []
    if query.limit > 0:
        found = list(
            (await connection.execute(_page(both, _turn(query), dialect), _place(query, values))).all()
        )
    total: int = (await connection.execute(_count(both, dialect), values)).scalar_one()
    return await _loaded(connection, found, query, total)


def _turn(query: SearchQuery) -> str:
    """Name the kind of page: the first or one by index, one after a position, or one
    before it.
    """
    if query.position is None:
        return "by index"
    turn = "before" if query.position.backward else "after"
    return turn + (" a missing value" if query.position.value is None else "")


def _place(query: SearchQuery, values: dict[str, Any]) -> dict[str, Any]:
    page = {**values, "most": query.limit + 1, "skipped": query.offset}
    if query.position is None:
        return page
    position = {"place_part": query.position.part, "place": query.position.seq}
    return {**page, **position, "place_value": place_value(query)}


@lru_cache(maxsize=256)
def _count(shapes: tuple[QueryShape, QueryShape], dialect: Dialect) -> Select[Any]:
    counts = [
        select(func.count()).select_from(table).where(*among(shape, dialect)).scalar_subquery()
        for table, shape in zip(_TABLES, shapes, strict=True)
    ]
    return select(counts[0] + counts[1])


@lru_cache(maxsize=256)
def _page(shapes: tuple[QueryShape, QueryShape], turn: str, dialect: Dialect) -> Select[Any]:
    """Select part, row number and sort value of the rows of one page, and one more that
    tells of another page.
    """
    order = shapes[0].order or shapes[1].order
    found = _found(shapes, order, dialect).subquery("found")
    backward = turn.startswith("before")
    chosen = select(found.c.part, found.c.seq, found.c.sort_value)
    if turn != "by index":
        chosen = chosen.where(_beyond(found, order, turn))
    descending = order is not None and order.descending != backward
    ordering: list[ColumnElement[Any]] = [found.c.part, found.c.seq]
    ordering = [each.desc() if backward else each.asc() for each in ordering]
    if order is not None:
        keys = (found.c.sort_value.is_(None), found.c.sort_value)
        ordering = [each.desc() if descending else each.asc() for each in keys] + ordering
    return chosen.order_by(*ordering).limit(bindparam("most")).offset(bindparam("skipped"))


def _found(
    shapes: tuple[QueryShape, QueryShape], order: Order | None, dialect: Dialect
) -> CompoundSelect[Any]:
    kind = Kind.TEXT if order is None else order.field.kind
    parts: list[Select[Any]] = []
    for number, (table, shape) in enumerate(zip(_TABLES, shapes, strict=True)):
        value = _value(shape, table, kind, dialect).label("sort_value")
        part = literal_column(str(number), Integer).label("part")
        parts.append(select(part, table.c.seq, value).where(*among(shape, dialect)))
    return union_all(*parts)


def _value(shape: QueryShape, table: Table, kind: Kind, dialect: Dialect) -> ColumnElement[Any]:
    """Return what rows of one type are sorted by.

    NULL where the type has no such attribute.
    """
    if shape.order is not None and shape.order.field.kind is kind:
        return sort_value(shape.order.field, Row(table), dialect)
    nothing = cast(null(), TYPES.get(kind, String()))
    return dialect.ordered(nothing) if kind not in TYPES else nothing


def _beyond(found: Subquery, order: Order | None, turn: str) -> ColumnElement[bool]:
    """Return what is true of the rows after a position, or before it."""
    columns, backward = found.c, turn.startswith("before")
    part, seq = bindparam("place_part", type_=columns.part.type), bindparam("place", type_=columns.seq.type)
    later = or_(
        columns.part < part if backward else columns.part > part,
        and_(columns.part == part, columns.seq < seq if backward else columns.seq > seq),
    )
    if order is None:
        return later
    value, descending = columns.sort_value, order.descending != backward
    if turn.endswith("a missing value"):
        same = and_(value.is_(None), later)
        return or_(same, value.is_not(None)) if descending else same
    there = bindparam("place_value", type_=value.type)
    same = and_(value == there, later)
    return or_(value < there, same) if descending else or_(value > there, value.is_(None), same)


async def _loaded(
    connection: AsyncConnection, found: list[Any], query: SearchQuery, total: int
) -> SearchPage[ShownUser | Group]:
    backward = query.position is not None and query.position.backward
    more = len(found) > query.limit
    found = found[: query.limit]
    if backward:
        found.reverse()
    items = await _rows(connection, found)
    has_former = more if backward else query.position is not None or query.offset > 0
    previous = _position(found[0], backward=True) if found and has_former else None
    following = _position(found[-1], backward=False) if found and (backward or more) else None
    return SearchPage(total, items, following, previous)


def _position(row: Any, *, backward: bool) -> Position:
    return Position(plain(row.sort_value), row.seq, backward, row.part)


async def _rows(connection: AsyncConnection, found: list[Any]) -> list[ShownUser | Group]:
    """Load the documents of one page, in its order.

    All queries of one reading see the same rows.
    """
    records: dict[tuple[int, int], ShownUser | Group] = {}
    for number, table in enumerate(_TABLES):
        wanted = [row.seq for row in found if row.part == number]
        if wanted:
            rows = await connection.execute(select(*SHOWN[table.name]).where(table.c.seq.in_(wanted)))
            for row in rows.mappings():
                records[number, row["seq"]] = to_shown_user(row) if table is tables.users else to_group(row)
    return [records[row.part, row.seq] for row in found]
