"""PostgreSQL: a pool of connections, one transaction per write, deadlocks and lost races tried again."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from store.engine import JSON_BY_ORJSON, T, Work, in_our_words, while_connecting
from store.errors import DatabaseBusy

CONNECT_TIMEOUT_S = 10
ATTEMPTS = 5
IDLE_S = 5.0


def open_engine(url: URL, *, pool_size: int = 10) -> AsyncEngine:
    utc = "-c timezone=UTC"
    args: dict[str, Any] = (
        {"timeout": CONNECT_TIMEOUT_S, "server_settings": {"timezone": "UTC"}}
        if url.drivername.endswith("asyncpg")
        else {"connect_timeout": CONNECT_TIMEOUT_S, "options": utc}
    )
    engine = create_async_engine(
        url, pool_size=pool_size, max_overflow=pool_size, connect_args=args, **JSON_BY_ORJSON
    )
    _ping_after_idling(engine.sync_engine)
    return engine


def _ping_after_idling(engine: Engine) -> None:
    """Asks a connection that lay idle whether it is still there: SQLAlchemy's own ping asks each time, in three trips."""

    @event.listens_for(engine, "checkin")
    def leave(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def take(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("idle_since", math.inf) < IDLE_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("gone while idle") from error  # the pool makes another


class PostgresqlDatabase:
    """A server that many processes share."""

    dialect = "postgresql"

    def __init__(self, url: URL) -> None:
        self._engine = open_engine(url)
        self._writing: set[asyncio.Task[Any]] = set()
        self._snapshots = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._glances = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def reading(self, *, consistent: bool = True) -> AsyncIterator[AsyncConnection]:
        async with _connected(self._snapshots if consistent else self._glances) as connection:
            with in_our_words():
                yield connection

    async def write(self, work: Work[T]) -> T:
        # Shielded: a transaction whose task is cancelled in mid-flight costs its connection.
        task = asyncio.create_task(self._write(work))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Waits for writes whose callers are gone, then closes all connections."""
        await asyncio.gather(*self._writing, return_exceptions=True)
        await self._engine.dispose()

    async def _write(self, work: Work[T]) -> T:
        with suppress(DatabaseBusy):
            # Without tenacity, whose bookkeeping costs as much as a statement.
            return await self._attempt(work)
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(DatabaseBusy),
            wait=wait_random_exponential(multiplier=0.02, max=1.0),
            stop=stop_after_attempt(ATTEMPTS - 1),
            reraise=True,
        )
        return await retrying(self._attempt, work)

    async def _attempt(self, work: Work[T]) -> T:
        async with _connected(self._engine) as connection:
            with in_our_words():
                async with connection.begin():
                    return await work(connection)


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    connection = engine.connect()
    with while_connecting():
        await connection.start()
    try:
        yield connection
    finally:
        await asyncio.shield(connection.close())
