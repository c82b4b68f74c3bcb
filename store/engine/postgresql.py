"""PostgreSQL: a pool of connections and one transaction per write.

Deadlocks and lost races are tried again, up to five attempts in all.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from store.engine.base import JSON_BY_ORJSON, T, Work, in_our_words, while_connecting
from store.engine.prepared_statements import command
from store.errors import DatabaseBusy

CONNECT_TIMEOUT_S = 10
ATTEMPTS = 5
IDLE_S = 5.0
SESSION = {
    "timezone": "UTC",
    # A process that was stopped (SIGSTOP, a frozen machine) in mid-transaction keeps
    # its rows locked for all others. A third of the minute within which another worker
    # takes the connection over.
    "idle_in_transaction_session_timeout": "20000",
}


_BEGIN = "BEGIN"
_BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def open_engine(url: URL, *, pool_size: int = 10, **options: Any) -> AsyncEngine:
    args: dict[str, Any] = (
        {"timeout": CONNECT_TIMEOUT_S, "server_settings": SESSION}
        if url.drivername.endswith("asyncpg")
        else {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": " ".join(f"-c {name}={value}" for name, value in SESSION.items()),
        }
    )
    engine = create_async_engine(
        url,
        # None beyond the pool: in every burst each would be opened and closed again,
        # and it is a process of the server that knows no statement yet.
        pool_size=2 * pool_size,
        max_overflow=0,
        connect_args=args,
        **JSON_BY_ORJSON,
        **options,
    )
    _ping_after_idling(engine.sync_engine)
    return engine


def _ping_after_idling(engine: Engine) -> None:
    """Ping a connection that was idle for 5 s or longer when it is taken from the pool.

    SQLAlchemy's own ping runs each time and makes three trips. Once a connection was
    lost, every connection that was idle then is pinged, however short: an outage ends
    them all.
    """
    lost_at = -math.inf

    @event.listens_for(engine, "invalidate")
    def lose(_connection: Any, _record: ConnectionPoolEntry, _error: BaseException | None) -> None:
        nonlocal lost_at
        lost_at = time.monotonic()

    @event.listens_for(engine, "checkin")
    def leave(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def take(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        idle_since = record.info.get("idle_since", math.inf)
        if idle_since > lost_at and time.monotonic() - idle_since < IDLE_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("gone while idle") from error  # the pool makes another


class PostgresqlDatabase:
    """A server that many processes share."""

    dialect = "postgresql"

    def __init__(self, url: URL) -> None:
        # Transactions are begun and ended here: `store.engine.prepared_statements` goes
        # past SQLAlchemy, which would not begin one.
        self._engine = open_engine(url, isolation_level="AUTOCOMMIT")
        self._writing: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def reading(self, *, single_statement: bool = False) -> AsyncIterator[AsyncConnection]:
        async with _connected(self._engine, None if single_statement else _BEGIN_SNAPSHOT) as connection:
            yield connection

    async def write(self, work: Work[T]) -> T:
        # Shielded: a transaction whose task is cancelled in mid-flight costs its
        # connection.
        task = asyncio.create_task(self._write(work))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for writes with cancelled callers, then close all connections."""
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
        async with _connected(self._engine, _BEGIN) as connection:
            return await work(connection)


@asynccontextmanager
async def _connected(engine: AsyncEngine, begin: str | None) -> AsyncIterator[AsyncConnection]:
    """Take a connection from the pool for one transaction; without `begin`, for one
    statement.
    """
    connection = engine.connect()
    with while_connecting():
        await connection.start()
    may_be_open = begin is not None
    try:
        with in_our_words():
            if begin is None:
                yield connection
                return
            # Where a caller is cancelled here, the server may have begun all the same.
            await command(connection, begin)
            yield connection
            await command(connection, "COMMIT")
            may_be_open = False
    finally:
        await asyncio.shield(_give_back(connection, may_be_open=may_be_open))


async def _give_back(connection: AsyncConnection, *, may_be_open: bool) -> None:
    """Return a connection to the pool, never with an open transaction.

    The next BEGIN would change nothing in it: a write would be refused in a transaction
    that is read only, a reading would see its old moment.
    """
    try:
        if may_be_open and not connection.invalidated:
            await command(connection, "ROLLBACK")  # with none open, it does nothing
    except DBAPIError:
        await connection.invalidate()
    finally:
        await connection.close()
