"""Look up many values in one statement, by an index, even with wrong statistics.

A planner without statistics, or with those of a table that was empty, takes `id IN (…)`
for most of the table. It then reads the whole connection for each batch of a first
cycle. Here each value of a list is looked up alone: on PostgreSQL by a LATERAL with
OFFSET 0, which can be no other join; on SQLite by a CROSS JOIN, which keeps its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import (
    JSON,
    ColumnElement,
    Join,
    ScalarSelect,
    Select,
    String,
    Table,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from store.engine.prepared_statements import EVERY_LENGTH_TO, Row, fetch

Lists: TypeAlias = Mapping[str, ColumnElement[Any]]
"""Columns by the name under which a list of values for each is given."""

_NOT_MERGED: ColumnElement[int] = literal_column("0")
"""OFFSET 0 keeps PostgreSQL from merging a subquery into the query around it."""


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """A query for rows that have one of many values in a column."""

    names: tuple[str, ...]
    """Of the lists of values."""
    few: Select[Any]
    """For SQLite: `IN`, which costs least for a push."""
    many: Select[Any]
    """For SQLite."""
    postgresql: Select[Any]

    async def rows(self, conn: AsyncConnection, values: Mapping[str, Any]) -> list[Row]:
        """Run the query and return its rows."""
        return await fetch(conn, self._statement(conn.dialect.name, values), values)

    def _statement(self, dialect: str, values: Mapping[str, Any]) -> Select[Any]:
        if dialect == "postgresql":
            return self.postgresql
        has_many = any(len(values[name]) > EVERY_LENGTH_TO for name in self.names)
        return self.many if has_many else self.few


def unindexed(column: ColumnElement[Any]) -> ColumnElement[str]:
    """Return a text column in a form that no index answers.

    A condition that holds for the whole connection is to be checked, not searched by.
    """
    return column.concat(literal_column("''"))


def checked(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a condition in a form that no index answers and that admits no partial
    index.
    """
    yes: ColumnElement[int] = literal_column("1")
    return case((condition, yes), else_=literal_column("0")) == yes


def is_live(table: Table) -> ColumnElement[bool]:
    """Return the condition that a row is not deleted, as one that is checked.

    Without statistics PostgreSQL believes that almost every row is deleted, and that
    any partial index of the connection holds one row.
    """
    return checked(table.c.deleted_at.is_(None))


def with_one_of(query: Select[Any], column: ColumnElement[Any], name: str) -> Lookup:
    """Return the query for rows that have one of the values called `name` in a column.

    A query for update locks the rows in the order of the values.
    """
    return Lookup(
        (name,),
        query.where(column.in_(bindparam(name, expanding=True))),
        _for_each_of_json(query, column, name),
        for_each(query, {name: column}),
    )


def with_one_of_any(query: Select[Any], table: Table, lists: Lists, *, for_update: bool = False) -> Lookup:
    """Return the query for rows that have one of the values of some list in its column.

    `for_update` locks the rows, in the order of creation.
    """
    branches = [query.where(column.in_(bindparam(name, expanding=True))) for name, column in lists.items()]
    conditions = [branch.whereclause for branch in branches if branch.whereclause is not None]
    columns = tuple(query.selected_columns)
    key = query.with_only_columns(table.c.seq)
    by_json = union_all(*(_for_each_of_json(key, column, name) for name, column in lists.items()))
    by_array = union_all(*(for_each(key, {name: column}) for name, column in lists.items()))
    return Lookup(
        tuple(lists),
        select(*columns).where(or_(*conditions)).order_by(table.c.seq),
        select(*columns).where(table.c.seq.in_(by_json)).order_by(table.c.seq),
        _by_key(columns, table, by_array, for_update=for_update),
    )


def union_of(*lookups: Lookup) -> Lookup:
    """Return the query for the rows of several with the same columns: one trip."""

    def united(queries: Iterable[Select[Any]]) -> Select[Any]:
        rows = union_all(*queries).subquery()
        return select(*rows.c)

    return Lookup(
        tuple(dict.fromkeys(name for each in lookups for name in each.names)),
        united(each.few for each in lookups),
        united(each.many for each in lookups),
        united(each.postgresql for each in lookups),
    )


def is_one_of(column: ColumnElement[Any], name: str) -> Mapping[str, ColumnElement[bool]]:
    """Return the condition that a unique column has one of the values called `name`, by
    dialect.
    """
    return {
        "sqlite": column.in_(bindparam(name, expanding=True)),
        "postgresql": is_any_of(column, name),
    }


def is_any_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return PostgreSQL's condition that a column has one of the values called
    `name`.
    """
    # Without the cast it would be compared with the rows of a query.
    return column == func.any(cast(_array_of(name), ARRAY(String)))


def _array_of(name: str) -> ScalarSelect[Any]:
    """Return the list called `name` as an array of PostgreSQL, its length hidden.

    A planner that sees few values takes a plan for them to be cheaper than the kept
    one, which is for ten, and plans every execution: it costs more than to look them up
    (PostgreSQL, PREPARE, Notes).
    """
    return select(bindparam(name, type_=ARRAY(String))).scalar_subquery()


def has_key_found(key: ColumnElement[Any], found: Select[Any]) -> ColumnElement[bool]:
    """Return PostgreSQL's condition that a row's key is among those found."""
    return key == func.any(func.array(found.scalar_subquery()))


def for_each(query: Select[Any], lists: Lists) -> Select[Any]:
    """Return the query for PostgreSQL that runs once for each value of the lists.

    Of several lists, the first values belong together, the second, and so on.
    """
    given = func.unnest(*map(_array_of, lists)).table_valued(*lists).render_derived()
    matches = [column == given.c[name] for name, column in lists.items()]
    found = query.where(*matches).correlate(given).offset(_NOT_MERGED).lateral("found")
    return select(*found.c).select_from(given).join(found, true())


def _by_key(columns: Any, table: Table, keys: Any, *, for_update: bool) -> Select[Any]:
    found = keys.subquery()
    ordered = select(found.c.seq).distinct().order_by(found.c.seq).subquery()
    row = select(*columns).where(table.c.seq == ordered.c.seq).correlate(ordered).offset(_NOT_MERGED)
    one = (row.with_for_update() if for_update else row).lateral("found")
    return select(*one.c).select_from(ordered).join(one, true())


class _JoinInOrder(Join):
    """A join that SQLite does from left to right."""

    inherit_cache = True


@compiles(_JoinInOrder)
def _render(join: _JoinInOrder, compiler: SQLCompiler, **options: Any) -> str:
    rendered: str = compiler.visit_join(join, **options)  # type: ignore[no-untyped-call]
    return rendered.replace(" JOIN ", " CROSS JOIN ", 1)


def _for_each_of_json(query: Select[Any], column: ColumnElement[Any], name: str) -> Select[Any]:
    """Return the query for SQLite that looks up each value of a list."""
    given = func.json_each(bindparam(name, type_=JSON)).table_valued("value")
    [table] = query.get_final_froms()
    return query.select_from(_JoinInOrder(given, table, column == given.c.value))
