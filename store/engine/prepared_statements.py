"""Compile a statement once and pass it to the driver as it is.

SQLAlchemy's own way to the driver and back takes some 30 µs a statement on SQLite and
45 µs on PostgreSQL, the rest 5 to 10; a push has four to six statements. Statements are
compiled, and values converted, by SQLAlchemy all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import Boolean, Delete, Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from store.engine.sqlite_connection import ReadingConnection

Change: TypeAlias = Insert | Update | Delete
Statement: TypeAlias = Select[Any] | Change
Row: TypeAlias = dict[str, Any]
Convert: TypeAlias = Callable[[Any], Any]


ROWS_IN_ONE_GO = 100
"""Rows with a document each, some 3 ms."""
EVERY_LENGTH_TO = 20
"""Statements are kept for each length of the lists in them up to 20.

Longer lists are padded to a power of two.
"""


async def fetch(
    conn: AsyncConnection, statement: Statement, values: Mapping[str, Any], *, gives_way: bool = False
) -> list[Row]:
    """Run a statement once and return its rows as mappings by column name.

    The statement must be one that is kept: each new one is compiled and stays in a
    cache. `gives_way` lets other requests go on while many rows are converted.
    """
    driver = _driver(conn)
    is_known = isinstance(driver, ReadingConnection | asyncpg.Connection)
    if not is_known:
        result = await conn.execute(statement, values)
        return [dict(row) for row in result.mappings()] if result.returns_rows else []
    lists = {name: _filled_up(values[name]) for name in _compile(statement, conn.dialect).lists}
    plan = _plan(statement, conn.dialect, tuple(map(len, lists.values())))
    arguments = plan.arranged({**values, **lists} if lists else values)
    found: Sequence[Sequence[Any]]
    if isinstance(driver, ReadingConnection):
        found = await driver.fetch(plan.sql, arguments)
    else:
        found = await _by_asyncpg(conn, driver, plan.sql, driver.fetch(plan.sql, *arguments))
    if not gives_way:
        return plan.rows(found)
    rows: list[Row] = []
    for start in range(0, len(found), ROWS_IN_ONE_GO):
        rows += plan.rows(found[start : start + ROWS_IN_ONE_GO])
        await asyncio.sleep(0)
    return rows


async def fetch_tuples(
    conn: AsyncConnection, statement: Statement, values: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """Run a statement without lists once and return its rows as the driver does: plain
    values in order.
    """
    driver = _driver(conn)
    if not isinstance(driver, ReadingConnection | asyncpg.Connection):
        return (await conn.execute(statement, values)).all()
    plan = _plan(statement, conn.dialect, ())
    arguments = plan.arranged(values)
    if isinstance(driver, ReadingConnection):
        return await driver.fetch(plan.sql, arguments)
    found: Sequence[Sequence[Any]] = await _by_asyncpg(
        conn, driver, plan.sql, driver.fetch(plan.sql, *arguments)
    )
    return found


async def stream_tuples(
    conn: AsyncConnection, statement: Statement, values: Mapping[str, Any], rows_in_a_part: int
) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """Run a statement as `fetch_tuples` does, and yield its rows in parts."""
    driver = _driver(conn)
    if not isinstance(driver, ReadingConnection | asyncpg.Connection):
        yield (await conn.execute(statement, values)).all()
        return
    plan = _plan(statement, conn.dialect, ())
    arguments = plan.arranged(values)
    if isinstance(driver, ReadingConnection):
        async for part in driver.stream(plan.sql, arguments, rows_in_a_part):
            yield part
        return
    cursor = await _by_asyncpg(conn, driver, plan.sql, driver.cursor(plan.sql, *arguments))
    while found := await _by_asyncpg(conn, driver, plan.sql, cursor.fetch(rows_in_a_part)):
        yield found


async def run_many(conn: AsyncConnection, change: Change, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run a statement once for each of many rows; nothing is returned.

    The values of an insert must be named as `store.engine.bulk_write.bind_names` names
    them; it is a COPY on PostgreSQL.
    """
    driver = _driver(conn)
    if not isinstance(driver, ReadingConnection | asyncpg.Connection):
        await conn.execute(change, rows)
        return
    plan = _plan(change, conn.dialect, ())
    arguments = plan.arranged_for_all(rows)
    if isinstance(driver, ReadingConnection):
        await driver.run_many(plan.sql, arguments)
        return
    if isinstance(change, Insert):
        table = change.table.name
        columns = [name.removeprefix(f"{table}_") for name, *_ in plan.arguments]
        running = driver.copy_records_to_table(table, records=arguments, columns=columns)
    else:
        running = driver.executemany(plan.sql, arguments)
    await _by_asyncpg(conn, driver, plan.sql, running)


async def command(conn: AsyncConnection, sql: str) -> None:
    """Run SQL that has no values and returns no rows: BEGIN and the like."""
    driver = _driver(conn)
    if isinstance(driver, asyncpg.Connection):
        await _by_asyncpg(conn, driver, sql, driver.execute(sql))
    else:
        await conn.exec_driver_sql(sql)


def _driver(conn: AsyncConnection) -> Any:
    return conn.sync_connection and conn.sync_connection.connection.driver_connection


async def _by_asyncpg(conn: AsyncConnection, driver: Any, sql: str, running: Awaitable[Any]) -> Any:
    """Raise asyncpg's errors as SQLAlchemy does, so that `store.engine.base` sorts all
    errors.
    """
    try:
        return await running
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        is_gone = driver.is_closed()
        if is_gone:
            await conn.invalidate()
        raise DBAPIError(sql, None, error, True, is_gone) from error


@dataclass(frozen=True, slots=True)
class _Compiled:
    compiled: SQLCompiler
    lists: tuple[str, ...]
    """Names of values that are expanded to as many as a list has: `IN`."""


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    sql: str
    arguments: tuple[tuple[str, int | None, Convert | None], ...]
    """In their order: name of the value, its place where it is one of a list, and its
    conversion.
    """
    constants: Mapping[str, Any]
    """Values that are part of the statement."""
    columns: tuple[str, ...]
    conversions: tuple[tuple[str, Convert], ...]

    def arranged(self, values: Mapping[str, Any]) -> list[Any]:
        given = {**self.constants, **values} if self.constants else values
        arguments = []
        for name, place, convert in self.arguments:
            value = given[name] if place is None else given[name][place]
            arguments.append(value if convert is None else convert(value))
        return arguments

    def arranged_for_all(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        """Return the arguments of many rows at once, converted column by column."""
        if not self.arguments:
            return [()] * len(rows)
        return list(
            zip(*(self._column(rows, name, convert) for name, _, convert in self.arguments), strict=True)
        )

    def _column(self, rows: Sequence[Mapping[str, Any]], name: str, convert: Convert | None) -> list[Any]:
        if name in self.constants:
            values = [self.constants[name]] * len(rows)
        else:
            values = [row[name] for row in rows]
        if convert is None:
            return values
        first = values[0]
        if all(value is first for value in values):  # a moment, empty steps: converted once
            return [convert(first)] * len(values)
        return list(map(convert, values))

    def rows(self, found: Sequence[Sequence[Any]]) -> list[Row]:
        rows = [dict(zip(self.columns, row, strict=True)) for row in found]
        for row in rows:
            for name, convert in self.conversions:
                row[name] = convert(row[name])
        return rows


@lru_cache(maxsize=512)
def _compile(statement: Statement, dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    return _Compiled(compiled, tuple(name for name, bind in compiled.binds.items() if bind.expanding))


@lru_cache(maxsize=1024)
def _plan(statement: Statement, dialect: Dialect, lengths: tuple[int, ...]) -> CompiledStatement:
    compiled, lists = _compile(statement, dialect).compiled, _compile(statement, dialect).lists
    blank: dict[str, Any] = {name: None for name, bind in compiled.binds.items() if bind.required}
    blank |= {name: [None] * length for name, length in zip(lists, lengths, strict=True)}
    state = compiled.construct_expanded_state(blank)
    expanded = {
        part: (name, place)
        for name, parts in state.parameter_expansion.items()
        for place, part in enumerate(parts)
    }
    origins = [expanded.get(name, (name, None)) for name in state.positiontup or ()]
    columns = _columns(statement)
    results = {name: _kind(type_, dialect).result_processor(dialect, None) for name, type_ in columns.items()}
    return CompiledStatement(
        state.statement,
        tuple((name, place, _bind_processor(compiled.binds[name].type, dialect)) for name, place in origins),
        {name: bind.value for name, bind in compiled.binds.items() if not bind.required},
        tuple(columns),
        tuple((name, convert) for name, convert in results.items() if convert),
    )


def _filled_up(values: Collection[Any]) -> Sequence[Any]:
    """Repeat the last value of a long list up to a power of two.

    `IN` ignores duplicates, and statements of few lengths are kept.
    """
    listed = list(values)
    if len(listed) > EVERY_LENGTH_TO:
        listed += listed[-1:] * ((1 << (len(listed) - 1).bit_length()) - len(listed))
    return listed


def _bind_processor(type_: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    if isinstance(type_, Boolean):
        return None  # every driver takes True and False
    return _kind(type_, dialect).bind_processor(dialect)


def _kind(type_: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return type_.dialect_impl(dialect)


def _columns(statement: Statement) -> dict[str, TypeEngine[Any]]:
    described = (
        statement.column_descriptions
        if isinstance(statement, Select)
        else statement.returning_column_descriptions
    )
    return {column["name"]: column["type"] for column in described}
