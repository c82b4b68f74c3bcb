"""SQLite: WAL, many readers, one writer that commits the works of many callers together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from store.engine import JSON_BY_ORJSON, T, Work, in_our_words

BUSY_TIMEOUT_S = 10.0
MOST_WORKS_PER_COMMIT = 256

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "cache_size=-32000",
)


def _fold(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


def open_engine(url: URL, *, begin: str, pool_size: int = 8) -> AsyncEngine:
    """Opens an engine whose transactions start with `begin`: pysqlite's own start too late and never IMMEDIATE."""
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_S},
        **JSON_BY_ORJSON,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # SQLite's own lower() knows ASCII only.
        connection.create_function("fold", 1, _fold, deterministic=True)
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


@dataclass(slots=True)
class _Waiting:
    work: Work[Any]
    done: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class SqliteDatabase:
    """A file. Readers never wait for the writer."""

    dialect = "sqlite"

    def __init__(self, url: URL) -> None:
        self._readers = open_engine(url, begin="BEGIN")
        self._writer = open_engine(url, begin="BEGIN IMMEDIATE", pool_size=1)
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._writing = asyncio.create_task(self._write_forever(), name="sqlite writer")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        with in_our_words():
            async with self._readers.begin() as connection:
                yield connection

    async def write(self, work: Work[T]) -> T:
        waiting = _Waiting(work, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(waiting)
        result: T = await waiting.done
        return result

    async def close(self) -> None:
        self._writing.cancel()
        with suppress(asyncio.CancelledError):
            await self._writing
        await self._readers.dispose()
        await self._writer.dispose()

    async def _write_forever(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < MOST_WORKS_PER_COMMIT:
                batch.append(self._queue.get_nowait())
            await asyncio.shield(self._commit(batch))

    async def _commit(self, batch: list[_Waiting]) -> None:
        """Runs every work in a savepoint of its own, commits once, and only then answers the callers."""
        try:
            with in_our_words():
                async with self._writer.begin() as connection:
                    for waiting in batch:
                        await _run(connection, waiting)
        except Exception as error:
            for waiting in batch:
                waiting.error = waiting.error or error
        for waiting in batch:
            _answer(waiting)


async def _run(connection: AsyncConnection, waiting: _Waiting) -> None:
    try:
        with in_our_words():
            async with connection.begin_nested():
                waiting.result = await waiting.work(connection)
    except Exception as error:
        waiting.error = error


def _answer(waiting: _Waiting) -> None:
    if waiting.done.done():  # the caller was cancelled; its work is committed all the same
        return
    if waiting.error is not None:
        waiting.done.set_exception(waiting.error)
    else:
        waiting.done.set_result(waiting.result)
