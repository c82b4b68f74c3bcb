"""Write rows of several tables in one trip to the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, TypeAlias

from sqlalchemy import (
    JSON,
    ColumnElement,
    FromClause,
    Insert,
    Table,
    Update,
    bindparam,
    column,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.list_lookups import is_any_of
from store.engine.prepared_statements import Change, Row, fetch, run_many

Values: TypeAlias = Mapping[str, Any]
Write: TypeAlias = tuple[Change, Sequence[Values]]
"""A statement and its values, once for each execution.

Several executions return nothing.
"""


MOST_ROWS_AS_JSON = 100
"""With more rows each statement makes a trip of its own: COPY, or as fast as that."""

_of_json: dict[Change, Change] = {}
"""For each statement on rows, its twin for PostgreSQL.

The twin takes all rows as one JSON value, named as `_rows_of` names it.
"""


@cache
def insert_statement(table: Table) -> Insert:
    """Return the statement that inserts a whole row.

    Its values are named by `bind_names`.
    """
    numbered = table.autoincrement_column
    columns = [column.name for column in table.c if column is not numbered]
    statement = insert(table).values({name: bindparam(f"{table.name}_{name}") for name in columns}).inline()
    given = _given(table, columns)
    _of_json[statement] = insert(table).from_select(columns, select(*given), include_defaults=False)
    return statement


def update_statement(table: Table, columns: Sequence[str]) -> Update:
    """Return the statement that changes these columns of the row with an id.

    Its values are named by `bind_names`.
    """
    statement = (
        update(table)
        .where(table.c.id == bindparam(f"{table.name}_id"))
        .values({name: bindparam(f"{table.name}_{name}") for name in columns})
    )
    its_id, *given = _given(table, ["id", *columns])
    values = dict(zip(columns, given, strict=True))
    # The planner takes any JSON value for a hundred rows. By their ids it knows that it
    # has few to look for, and looks them up.
    is_given = is_any_of(table.c.id, _ids_of(table))
    _of_json[statement] = update(table).where(table.c.id == its_id, is_given).values(values)
    return statement


def _given(table: Table, columns: Sequence[str]) -> list[ColumnElement[Any]]:
    """Return the columns of rows that are passed as one JSON value (PostgreSQL)."""
    rows = func.json_to_recordset(bindparam(_rows_of(table), type_=JSON()))
    typed = (column(f"{table.name}_{name}", table.c[name].type) for name in columns)
    return list(rows.table_valued(*typed).render_derived(name=f"given_{table.name}", with_types=True).c)


def _rows_of(table: FromClause) -> str:
    assert isinstance(table, Table)
    return f"rows_of_{table.name}"


def _ids_of(table: FromClause) -> str:
    assert isinstance(table, Table)
    return f"ids_of_{table.name}"


def bind_names(table: Table, row: Values) -> dict[str, Any]:
    """Name values by table and column.

    Statements on several tables can then take theirs from one mapping.
    """
    return dict(zip(_names(table.name, tuple(row)), row.values(), strict=True))


@cache
def _names(table: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{table}_{column}" for column in columns)


async def write_batch(conn: AsyncConnection, writes: Sequence[Write]) -> list[Row]:
    """Do the writes in their order and return the rows of the last one.

    PostgreSQL runs writes on different tables, as most pushes have, as one statement.
    """
    if conn.dialect.name == "postgresql":
        writes = [_with_json(change, rows) for change, rows in writes]
        if len(writes) > 1 and _may_go_together(writes):
            values = {name: value for _, [row] in writes for name, value in row.items()}
            return await fetch(conn, _together(tuple(change for change, _ in writes)), values)
    returned: list[Row] = []
    for change, rows in writes:
        if len(rows) == 1:
            returned = await fetch(conn, change, rows[0])
        else:
            await run_many(conn, change, rows)
    return returned


def _with_json(change: Change, rows: Sequence[Values]) -> Write:
    if change not in _of_json or len(rows) > MOST_ROWS_AS_JSON:
        return change, rows
    # A column that is not given is NULL: half of those of a new user.
    told = [{name: value for name, value in row.items() if value is not None} for row in rows]
    given: dict[str, Any] = {_rows_of(change.table): told}
    if isinstance(change, Update):
        table = change.table
        assert isinstance(table, Table)
        given[_ids_of(table)] = [row[f"{table.name}_id"] for row in rows]
    return _of_json[change], [given]


def _may_go_together(writes: Sequence[Write]) -> bool:
    """Return whether the writes may be parts of one statement.

    The parts do not see each other's work, so no two may write the same table.
    """
    tables = {change.table for change, rows in writes if len(rows) == 1}
    return len(tables) == len(writes)


@lru_cache(maxsize=64)
def _together(changes: tuple[Change, ...]) -> Change:
    *others, last = changes
    return last.add_cte(*(change.cte(f"write_{number}") for number, change in enumerate(others)))
