"""The one writer of a SQLite file: a thread that runs the works of many callers in one
transaction.

A commit waits for the disk, and that wait is as long for one work as for a hundred.
Works that arrive during a commit form the next transaction together. Each has a
savepoint of its own and is answered after the commit.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from store.engine.base import T, Work, in_our_words
from store.engine.sqlite_connection import WritingConnection
from store.errors import DatabaseUnreachable

MOST_WORKS_PER_COMMIT = 256


@dataclass(slots=True)
class _QueuedWork:
    """A work, and the future in the caller's event loop that waits for it."""

    work: Work[Any]
    done: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = None
    error: BaseException | None = None

    def answer(self) -> None:
        if self.done.cancelled():  # the caller is gone; the work is committed all the same
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)


class Writer:
    """Queue works from any task and run them on a thread."""

    def __init__(self, open_engine: Callable[[], AsyncEngine]) -> None:
        self._open_engine = open_engine
        self._waiting: queue.SimpleQueue[_QueuedWork | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="sqlite writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """Run `work` and return once it is committed.

        Cancelling the caller does not stop the work.
        """
        if self._closed or not self._thread.is_alive():
            raise DatabaseUnreachable("the database was closed")
        loop = asyncio.get_running_loop()
        waiting = _QueuedWork(work, loop.create_future(), loop)
        self._waiting.put(waiting)
        result: T = await waiting.done
        return result

    async def close(self) -> None:
        """Commit what waits, then ends the thread."""
        self._closed = True
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        asyncio.run(self._write_all())

    async def _write_all(self) -> None:
        engine = self._open_engine()
        connection: AsyncConnection | None = None
        try:
            # This thread has an event loop because SQLAlchemy needs one. It may block
            # here: it has no other task.
            while batch := self._next_batch():
                try:
                    with in_our_words():
                        connection = connection or await engine.connect().start()
                        await _commit(connection, batch)
                except Exception as error:
                    for waiting in batch:
                        waiting.error = waiting.error or error
                    await _drop(connection)
                    connection = None
                _tell(batch)
        finally:
            await _checkpoint(connection)
            await _drop(connection)
            await engine.dispose()

    def _next_batch(self) -> list[_QueuedWork]:
        """Wait for work and return all there is, up to 256.

        Empty when the writer is closed.
        """
        first = self._waiting.get()
        batch = [] if first is None else [first]
        while batch and len(batch) < MOST_WORKS_PER_COMMIT:
            try:
                another = self._waiting.get_nowait()
            except queue.Empty:
                break
            if another is None:
                self._waiting.put(None)  # still to be seen, after this batch
                break
            batch.append(another)
        return batch


def _tell(batch: Sequence[_QueuedWork]) -> None:
    """Wake each event loop once for all of its callers: waking one costs more than
    answering.
    """
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[_QueuedWork]] = defaultdict(list)
    for waiting in batch:
        by_loop[waiting.loop].append(waiting)
    for loop, theirs in by_loop.items():
        with suppress(RuntimeError):  # the callers' loop is closed
            loop.call_soon_threadsafe(_answer, theirs)


def _answer(batch: Sequence[_QueuedWork]) -> None:
    for waiting in batch:
        waiting.answer()


async def _commit(connection: AsyncConnection, batch: Sequence[_QueuedWork]) -> None:
    raw = (await connection.get_raw_connection()).driver_connection
    assert isinstance(raw, WritingConnection)
    for waiting in batch:
        await _run(connection, raw, waiting)
    await connection.commit()  # ends what SQLAlchemy takes for a transaction of its own
    await raw.commit()


async def _checkpoint(connection: AsyncConnection | None) -> None:
    """Empty the write-ahead log at a clean stop, if anything was written."""
    if connection is None:
        return
    with suppress(DBAPIError, sqlite3.Error):
        raw = (await connection.get_raw_connection()).driver_connection
        assert isinstance(raw, WritingConnection)
        raw.checkpoint()


async def _drop(connection: AsyncConnection | None) -> None:
    """Close a connection, and with it every open transaction."""
    if connection is not None:
        with suppress(DBAPIError, sqlite3.Error):
            await connection.close()


async def _run(connection: AsyncConnection, raw: WritingConnection, waiting: _QueuedWork) -> None:
    """Run one work in a savepoint. `begin_nested` takes ten times as long."""
    raw.do("SAVEPOINT work")
    try:
        with in_our_words():
            waiting.result = await waiting.work(connection)
    except Exception as error:
        waiting.error = error
        if not raw.in_transaction:
            raise  # SQLite itself rolled everything back, as it may on a full disk: no work is left
        raw.do("ROLLBACK TO work")
    raw.do("RELEASE work")
