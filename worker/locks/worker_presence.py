"""Show which worker processes run, by locks that end with their holder.

SQLite: a lock on a file beside the database; one worker at a time. PostgreSQL: one
session advisory lock per worker, which the server drops with the process or, by TCP
keep-alive, with the machine. These locks belong to a connection, not to data: that is
why this is the one place outside `store/` that speaks SQL.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import psycopg
from sqlalchemy.engine import URL, make_url

from worker.errors import DatabaseAway, NeedsHuman, Terminal

SQLITE_EXECUTOR = "local"
"""Executor id of every worker on SQLite, where one runs at a time.

So the next worker finds the jobs of the last one as its own.
"""

ADVISORY_CLASS = 0x1EA7E4
"""First key of our two-part advisory locks; the second is a hash of the executor id."""

REFUSAL_DELAY_S = 0.2
REFUSAL_ATTEMPTS = 5
"""Tries of a starting worker, a second in all.

`is_worker_alive` holds the lock file for an instant.
"""


class AnotherWorker(NeedsHuman):
    """A worker process runs on this SQLite database already."""


class WorkerPresence(Protocol):
    """This process's place among the worker processes."""

    @property
    def process_id(self) -> str:
        """Id of this process alone: never used before or after."""
        ...

    @property
    def executor_id(self) -> str:
        """Id by which the engine knows its own jobs again."""
        ...

    async def is_held(self) -> bool:
        """Return False if the lock is gone.

        Other workers then take this one for dead, and it must end itself.
        """
        ...

    def reap_lock(self, process_id: str) -> AbstractAsyncContextManager[bool]:
        """Return a context that says whether that worker process is gone.

        While the context lasts no other worker reclaims its jobs.
        """
        ...


def libpq_url(database_url: str) -> URL:
    """Return the URL of the same PostgreSQL database for psycopg."""
    url = make_url(database_url).set(drivername="postgresql")
    if "ssl" not in url.query:
        return url
    # asyncpg calls libpq's `sslmode` by the name `ssl`.
    return url.difference_update_query(["ssl"]).update_query_dict({"sslmode": url.query["ssl"]})


def sqlite_path(database_url: str) -> Path:
    """Return the database file.

    Raises `Terminal` for a database in memory, which no other process could share.
    """
    database = make_url(database_url).database
    if not database or database == ":memory:":
        raise Terminal(
            "The worker needs a database file: LEAVER_DATABASE_URL names a SQLite database in memory. "
            "Use for example sqlite+aiosqlite:///./leaver.db."
        )
    return Path(database)


def is_sqlite(database_url: str) -> bool:
    """Return whether the URL names a SQLite database."""
    return make_url(database_url).get_backend_name() == "sqlite"


@asynccontextmanager
async def announce_worker(database_url: str) -> AsyncIterator[WorkerPresence]:
    """Make this process one of the running workers until the context is left.

    Raises `AnotherWorker`, or `DatabaseAway` if PostgreSQL does not answer.
    """
    process_id = uuid.uuid4().hex
    if is_sqlite(database_url):
        with await _lock_file(sqlite_path(database_url)):
            yield _FilePresence(process_id)
        return
    async with await _connect(database_url) as connection:
        key = (ADVISORY_CLASS, _lock_key(process_id))
        await connection.execute("SELECT pg_advisory_lock(%s, %s)", key)
        yield _AdvisoryPresence(process_id, connection)


async def is_worker_alive(database_url: str) -> bool:
    """Return whether any worker process runs on this database.

    Raises `DatabaseAway`.
    """
    if is_sqlite(database_url):
        return _is_file_locked(sqlite_path(database_url))
    async with await _connect(database_url) as connection:
        found = await connection.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1",
            (ADVISORY_CLASS,),
        )
        return await found.fetchone() is not None


# --- SQLite


@dataclass(frozen=True, slots=True)
class _FilePresence:
    process_id: str
    executor_id: str = SQLITE_EXECUTOR

    async def is_held(self) -> bool:
        return True

    @asynccontextmanager
    async def reap_lock(self, process_id: str) -> AsyncIterator[bool]:
        yield process_id != self.process_id


def _lock_path(database: Path) -> Path:
    return database.with_name(database.name + ".worker.lock")


async def _lock_file(database: Path) -> IO[bytes]:
    file = _lock_path(database).open("ab")
    for attempt in range(REFUSAL_ATTEMPTS):
        if _try_lock(file, fcntl.LOCK_EX):
            return file
        if attempt < REFUSAL_ATTEMPTS - 1:
            await asyncio.sleep(REFUSAL_DELAY_S)
    file.close()
    raise AnotherWorker(
        f"A worker already runs on {database.name}: it holds {_lock_path(database).name}.",
        remedy="SQLite takes one worker process: stop the other, or point LEAVER_DATABASE_URL at PostgreSQL.",
    )


def _is_file_locked(database: Path) -> bool:
    path = _lock_path(database)
    if not path.exists():
        return False
    with path.open("rb") as file:
        return not _try_lock(file, fcntl.LOCK_SH)


def _try_lock(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- PostgreSQL


@dataclass(frozen=True, slots=True)
class _AdvisoryPresence:
    process_id: str
    connection: psycopg.AsyncConnection[tuple[object, ...]]

    @property
    def executor_id(self) -> str:
        return self.process_id

    async def is_held(self) -> bool:
        try:
            await self.connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    @asynccontextmanager
    async def reap_lock(self, process_id: str) -> AsyncIterator[bool]:
        # A session may take its own lock again: never ask about oneself.
        is_gone = process_id != self.process_id and await self._try_lock(process_id)
        try:
            yield is_gone
        finally:
            if is_gone:
                await self._unlock(process_id)

    async def _try_lock(self, process_id: str) -> bool:
        key = (ADVISORY_CLASS, _lock_key(process_id))
        found = await self.connection.execute("SELECT pg_try_advisory_lock(%s, %s)", key)
        return await found.fetchone() == (True,)

    async def _unlock(self, process_id: str) -> None:
        key = (ADVISORY_CLASS, _lock_key(process_id))
        await self.connection.execute("SELECT pg_advisory_unlock(%s, %s)", key)


async def _connect(database_url: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
    # Keep-alives from both sides: within half a minute the server notices that the
    # machine is gone, and this process that the server is.
    try:
        return await psycopg.AsyncConnection.connect(
            libpq_url(database_url).render_as_string(hide_password=False),
            autocommit=True,
            application_name="leaver-worker",
            connect_timeout=10,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            # Keep-alives say nothing while a query is on its way: this limit does
            # (libpq, "tcp_user_timeout").
            tcp_user_timeout=25_000,
            options="-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
        )
    except psycopg.OperationalError as error:
        raise away(error) from error


def away(error: psycopg.OperationalError) -> DatabaseAway:
    """Return the error for a PostgreSQL that does not answer.

    A wrong password is reported where the database is opened.
    """
    first, *_ = (str(error).strip() or type(error).__name__).splitlines()
    return DatabaseAway(
        f"The database does not answer ({first}): check that it runs and that LEAVER_DATABASE_URL names it.",
        1.0,
    )


def _lock_key(process_id: str) -> int:
    return int.from_bytes(hashlib.sha256(process_id.encode()).digest()[:4], signed=True)
