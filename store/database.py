"""Open a SQLite or PostgreSQL database by its URL, for reading and writing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.base import T, Work, error_in_our_words, unreachable
from store.engine.postgresql import PostgresqlDatabase
from store.engine.sqlite import BUSY_TIMEOUT_S, SqliteDatabase, create_private_file
from store.engine.sqlite import PRAGMAS as SQLITE_PRAGMAS
from store.engine.urls import (
    is_sqlite,
    jobs_database_url,
    jobs_path,
    libpq_url,
    parse_url,
    sqlite_path,
)

__all__ = [
    "BUSY_TIMEOUT_S",
    "SQLITE_PRAGMAS",
    "Database",
    "Work",
    "create_private_file",
    "error_in_our_words",
    "is_sqlite",
    "jobs_database_url",
    "jobs_path",
    "libpq_url",
    "open_database",
    "release_memory",
    "sqlite_path",
    "unreachable",
]


class Database(Protocol):
    """The door to a database."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        ...

    def reading(self, *, single_statement: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a connection for reading: its statements see one state of the database.

        `single_statement`: skip the snapshot transaction. Statements of this connection
        may see different states; use it for one indexed query. PostgreSQL then saves
        the two trips around it, and SQLite the trip to a thread.
        """
        ...

    async def write(self, work: Work[T]) -> T:
        """Run `work` in one transaction and return its result once that is committed.

        If `work` raises, nothing of it remains and the exception is raised here. `work`
        may run a second time after a deadlock, so it uses nothing but the connection it
        is given.
        """
        ...

    async def close(self) -> None: ...


_OPENERS: dict[str, Callable[[URL], Database]] = {
    "sqlite+aiosqlite": SqliteDatabase,
    "postgresql+asyncpg": PostgresqlDatabase,
    "postgresql+psycopg": PostgresqlDatabase,
}


async def release_memory(db: Database) -> None:
    """Give back what this process keeps of large tables for the next who reads them.

    PostgreSQL keeps them in its own processes.
    """
    if isinstance(db, SqliteDatabase):
        await db.empty_caches()


async def open_database(url: str) -> Database:
    """Open the database at `url` and check its schema.

    Raises `WrongDatabase` (URL, name, password), `DatabaseUnreachable`, or
    `SchemaOutOfDate` (not migrated).
    """
    from store.migrations.upgrade import check_schema

    parsed = parse_url(url)
    database = _OPENERS[parsed.drivername](parsed)
    try:
        async with database.reading() as connection:
            await connection.run_sync(check_schema)
    except BaseException:
        await database.close()
        raise
    return database
