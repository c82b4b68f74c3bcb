"""aiosqlite with fewer trips between threads.

aiosqlite passes every call to a thread of its own and back, and SQLAlchemy makes four
calls for one statement. Measured, that is most of the cost of a short query. Here a
statement and its first 1,000 rows are one trip (`ReadingConnection`). A query that an
index answers makes none (`InlineConnection`), nor does a caller on a thread of its own
(`WritingConnection`, used by `store.engine.sqlite_writer`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from typing import Any

import aiosqlite

FIRST_ROWS = 1000
"""How many rows come with the statement itself; most answers are shorter."""


class Cursor:
    """The part of a cursor that SQLAlchemy's aiosqlite dialect uses."""

    def __init__(self, connection: ReadingConnection) -> None:
        self._connection = connection
        self._cursor = connection.make_cursor()
        self._rows: list[Any] = []
        self._has_more = False
        self.arraysize = self._cursor.arraysize

    async def __aenter__(self) -> Cursor:
        return self

    async def close(self) -> None:
        await self._connection.finish(self._cursor.close)

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> Cursor:
        await self._connection.run(self._execute, sql, parameters)
        return self

    def _execute(self, sql: str, parameters: Any) -> None:
        self._connection.begin_if_due()
        self._cursor.execute(sql, parameters)
        if self._cursor.description is not None:
            self._rows = self._cursor.fetchmany(FIRST_ROWS)
            self._has_more = len(self._rows) == FIRST_ROWS

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> Cursor:
        await self._connection.run(self._executemany, sql, parameters)
        return self

    def _executemany(self, sql: str, parameters: Any) -> None:
        self._connection.begin_if_due()
        self._cursor.executemany(sql, parameters)

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        if self._has_more:
            self._has_more = False
            rows += await self._connection.run(self._cursor.fetchall)
        return rows

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = size or self.arraysize
        if not self._rows and self._has_more:
            self._rows = await self._connection.run(self._cursor.fetchmany, max(wanted, FIRST_ROWS))
            self._has_more = bool(self._rows)
        rows, self._rows = self._rows[:wanted], self._rows[wanted:]
        return rows

    async def fetchone(self) -> Any:
        rows = await self.fetchmany(1)
        return rows[0] if rows else None


class ReadingConnection(aiosqlite.Connection):
    """One trip for a statement.

    A transaction begins with its first statement and ends without a trip.
    """

    begin = "BEGIN"
    _under_way = False

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=FIRST_ROWS)
        # As SQLAlchemy does with its own: an unclosed connection must not keep the
        # process from ending.
        self._thread.daemon = True

    def make_cursor(self) -> sqlite3.Cursor:
        return self._conn.cursor()

    def cursor(self) -> Cursor:  # type: ignore[override] # SQLAlchemy enters it as a context manager, no more
        return Cursor(self)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function on the connection's thread."""
        self._under_way = True
        result = await self._execute(function, *arguments)  # type: ignore[no-untyped-call]
        self._under_way = False  # not reached if the caller is cancelled: the trip goes on without it
        return result

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """Run a statement and return all its rows, in one trip."""
        rows: list[Any] = await self.run(self._fetch, sql, parameters)
        return rows

    def _fetch(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        self.begin_if_due()
        return self._conn.execute(sql, parameters).fetchall()

    async def stream(
        self, sql: str, parameters: Sequence[Any], rows_in_a_part: int
    ) -> AsyncIterator[list[Any]]:
        """Run a statement and yield its rows in parts, each in one trip."""
        cursor = await self.run(self._open, sql, parameters)
        try:
            while rows := await self.run(cursor.fetchmany, rows_in_a_part):
                yield rows
        finally:
            await self.finish(cursor.close)

    def _open(self, sql: str, parameters: Sequence[Any]) -> sqlite3.Cursor:
        self.begin_if_due()
        return self._conn.execute(sql, parameters)

    async def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each row, in one trip."""
        await self.run(self._run_many, sql, rows)

    def _run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self.begin_if_due()
        self._conn.executemany(sql, rows)

    async def finish(self, function: Callable[[], Any]) -> None:
        """Call a function that takes no time without a trip.

        Where an abandoned trip is still under way, the call queues behind it.
        """
        if self._under_way:
            await self._execute(function)  # type: ignore[no-untyped-call]
            self._under_way = False
        else:
            function()

    def begin_if_due(self) -> None:
        if not self._conn.in_transaction:
            self._conn.execute(self.begin)

    async def commit(self) -> None:
        await self.finish(self._conn.commit)

    async def rollback(self) -> None:
        await self.finish(self._conn.rollback)


class InlineConnection(ReadingConnection):
    """No trips at all, for queries shorter than a trip and for callers on a thread of
    their own.
    """

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        return self._connect().__await__()

    async def _connect(self) -> aiosqlite.Connection:
        self._connection = self._connector()
        return self

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    def begin_if_due(self) -> None:
        """Begin nothing: one statement by itself sees one state of the database."""

    def empty_cache(self) -> None:
        """Free the pages that are kept for the next who reads them."""
        self._conn.execute("PRAGMA shrink_memory")

    def end(self) -> None:
        """End the transaction, if there is one."""
        if self._conn.in_transaction:
            self._conn.rollback()

    def stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class WritingConnection(InlineConnection):
    """Used on a thread that may wait for the disk.

    IMMEDIATE takes the write lock at once. A transaction that reads first and writes
    later can fail half-way.
    """

    begin = "BEGIN IMMEDIATE"

    def begin_if_due(self) -> None:
        if not self._conn.in_transaction:
            self._conn.execute(self.begin)

    def checkpoint(self) -> None:
        """Copy what the write-ahead log holds into the file, as far as readers let it.

        A copy of the file alone is then no empty database.
        """
        self._conn.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def do(self, sql: str) -> None:
        """Run a statement that returns nothing."""
        self.begin_if_due()
        self._conn.execute(sql)
