"""Writing rows of several tables in one trip to the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, TypeAlias

from sqlalchemy import Insert, Table, bindparam, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from store.prepared import Change, Row, fetch, run_many

Values: TypeAlias = Mapping[str, Any]
Write: TypeAlias = tuple[Change, Sequence[Values]]
"""A statement, and the values it is to be run with, once for each of them; of several nothing is returned."""


@cache
def inserting(table: Table) -> Insert:
    """Gives the statement that inserts a whole row; its values are named as `named` names them."""
    numbered = table.autoincrement_column
    columns = [column.name for column in table.c if column is not numbered]
    return insert(table).values({name: bindparam(f"{table.name}_{name}") for name in columns}).inline()


def named(table: Table, row: Values) -> dict[str, Any]:
    """Names values by table and column, so that statements on several tables can take theirs from one mapping."""
    return dict(zip(_names(table.name, tuple(row)), row.values(), strict=True))


@cache
def _names(table: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{table}_{column}" for column in columns)


async def write_all(conn: AsyncConnection, writes: Sequence[Write]) -> list[Row]:
    """Does the writes in their order and gives the rows that the last one returns.

    PostgreSQL takes one row for each of several tables, which is what most pushes are, as one statement.
    """
    if len(writes) > 1 and conn.dialect.name == "postgresql" and _may_go_together(writes):
        values = {name: value for _, [row] in writes for name, value in row.items()}
        return await fetch(conn, _together(tuple(change for change, _ in writes)), values)
    returned: list[Row] = []
    for change, rows in writes:
        if len(rows) == 1:
            returned = await fetch(conn, change, rows[0])
        else:
            await run_many(conn, change, rows)
    return returned


def _may_go_together(writes: Sequence[Write]) -> bool:
    """The parts of one statement do not see each other's work: no two may be about the same table."""
    return len({change.table for change, _ in writes}) == len(writes) == sum(len(rows) for _, rows in writes)


@lru_cache(maxsize=64)
def _together(changes: tuple[Change, ...]) -> Change:
    *others, last = changes
    return last.add_cte(*(change.cte(f"write_{number}") for number, change in enumerate(others)))
