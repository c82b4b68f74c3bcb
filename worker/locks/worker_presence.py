"""Show which worker processes run, by locks that end with their holder.

SQLite: a lock on a file beside the database; one worker at a time. PostgreSQL: one
session advisory lock per
worker (`store.sync.worker_locks`), which the server drops with the process or, by TCP
keep-alive, with the machine.
"""

from __future__ import annotations

import asyncio
import fcntl
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from store.database import error_in_our_words, is_sqlite, sqlite_path
from store.errors import DatabaseUnreachable, StoreError, WrongDatabase
from store.sync import worker_locks
from worker.errors import NeedsHuman, as_worker_error

SQLITE_EXECUTOR = "local"
"""Executor id of every worker on SQLite, where one runs at a time.

So the next worker finds the jobs of the last one as its own.
"""

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
    async with aclosing(await _open_session(database_url)) as session:
        await session.lock(process_id)
        yield _AdvisoryPresence(process_id, session)


async def is_worker_alive(database_url: str) -> bool:
    """Return whether any worker process runs on this database.

    Raises `DatabaseAway`.
    """
    if is_sqlite(database_url):
        return _is_file_locked(sqlite_path(database_url))
    async with aclosing(await _open_session(database_url)) as session:
        return await session.is_any_held()


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
    path = _lock_path(database)
    try:
        file = path.open("ab")
    except OSError as error:
        raise as_worker_error(_unusable(path, error)) from error
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
    try:
        file = path.open("rb")
    except OSError as error:
        raise as_worker_error(_unusable(path, error)) from error
    with file:
        return not _try_lock(file, fcntl.LOCK_SH)


def _unusable(path: Path, error: OSError) -> StoreError:
    return error_in_our_words(error) or WrongDatabase(f"{path} cannot be used")


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
    session: worker_locks.WorkerLockSession

    @property
    def executor_id(self) -> str:
        return self.process_id

    async def is_held(self) -> bool:
        return await self.session.is_alive()

    @asynccontextmanager
    async def reap_lock(self, process_id: str) -> AsyncIterator[bool]:
        # A session may take its own lock again: never ask about oneself.
        is_gone = process_id != self.process_id and await self.session.try_lock(process_id)
        try:
            yield is_gone
        finally:
            if is_gone:
                await self.session.unlock(process_id)


async def _open_session(database_url: str) -> worker_locks.WorkerLockSession:
    try:
        return await worker_locks.open_session(database_url)
    except DatabaseUnreachable as error:
        raise as_worker_error(error) from error
