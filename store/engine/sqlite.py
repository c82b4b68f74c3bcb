"""SQLite: WAL, many readers, and one writer that commits the works of many callers
together.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from store.engine.base import JSON_BY_ORJSON, T, Work, in_our_words, while_connecting
from store.engine.sqlite_connection import InlineConnection, ReadingConnection, WritingConnection
from store.engine.sqlite_writer import Writer
from store.errors import SchemaOutOfDate
from store.records import folded

BUSY_TIMEOUT_S = 10.0
READERS = 8

# FULL: a commit is on the disk when it returns, so an answered write survives a power
# cut, not only a crash of ours.
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "cache_size=-32000",
    "wal_autocheckpoint=10000",
)


def _fold(text: Any) -> Any:
    return folded(text) if isinstance(text, str) else text


def create_private_file(path: Path) -> None:
    """Create the file, if there is none, for this user alone; SQLite gives its
    write-ahead log the same rights.

    Where that fails, SQLite says what is wrong when it opens the file.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def open_engine(url: URL, kind: type[ReadingConnection], *, pool_size: int = 1) -> AsyncEngine:
    """Open an engine on the file with connections of this kind."""
    path = url.database or ":memory:"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if kind is ReadingConnection:
            # A reader of a whole table sees each page once: eight readers need not keep
            # 32 MB of them each.
            connection.execute("PRAGMA cache_size=-4000")
        # SQLite's own lower() knows ASCII only.
        connection.create_function("fold", 1, _fold, deterministic=True)
        return connection

    async def create() -> Any:
        return await kind(connect)

    return create_async_engine(
        url, async_creator=create, pool_size=pool_size, max_overflow=0, **JSON_BY_ORJSON
    )


async def _empty_cache(connection: AsyncConnection) -> None:
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, InlineConnection)
    driver.empty_cache()


class _InlineReading:
    """One reading on the caller's own thread.

    A class: a generator as context manager costs as much as a short query.
    """

    __slots__ = ("_connection", "_database", "_driver")

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def __aenter__(self) -> AsyncConnection:
        self._connection, self._driver = await self._database.take_inline()
        return self._connection

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        await self._database.return_inline(self._connection, self._driver)
        if isinstance(error, Exception):
            with in_our_words():
                raise error


class SqliteDatabase:
    """A SQLite file. Readers never wait for the writer."""

    dialect = "sqlite"

    def __init__(self, url: URL) -> None:
        """Raise `SchemaOutOfDate` if the file does not exist: opening must not create
        it.
        """
        if not url.database or not Path(url.database).exists():
            raise SchemaOutOfDate(f"there is no database at {url.database} yet: run `leaver db upgrade`")
        self._readers = open_engine(url, ReadingConnection, pool_size=READERS)
        self._inline_readers = open_engine(url, InlineConnection, pool_size=READERS)
        self._idle: list[tuple[AsyncConnection, InlineConnection]] = []
        self._writer = Writer(lambda: open_engine(url, WritingConnection))

    def reading(self, *, single_statement: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        return _InlineReading(self) if single_statement else self._reading_on_a_thread()

    @asynccontextmanager
    async def _reading_on_a_thread(self) -> AsyncIterator[AsyncConnection]:
        with while_connecting():
            connection = await self._readers.connect().start()
        try:
            with in_our_words():
                yield connection
        finally:
            await asyncio.shield(connection.close())

    async def take_inline(self) -> tuple[AsyncConnection, InlineConnection]:
        """Return an idle connection, or open one.

        Taking one from the pool and returning it takes longer than the query.
        """
        if self._idle:
            return self._idle.pop()
        with while_connecting():
            connection = await self._inline_readers.connect().start()
            driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, InlineConnection)
        return connection, driver

    async def return_inline(self, connection: AsyncConnection, driver: InlineConnection) -> None:
        """Take a connection back for the next query."""
        if connection.in_transaction():
            await connection.rollback()
        driver.end()
        self._idle.append((connection, driver))

    async def write(self, work: Work[T]) -> T:
        return await self._writer.write(work)

    async def empty_caches(self) -> None:
        """Empty the page caches, of up to 32 MB each.

        Readers on threads are closed and opened anew when they are needed.
        """
        await self._writer.write(_empty_cache)
        for _, driver in self._idle:
            driver.empty_cache()
        await self._readers.dispose()

    async def close(self) -> None:
        await self._writer.close()
        for connection, _ in self._idle:
            await connection.close()
        await self._inline_readers.dispose()
        await self._readers.dispose()
