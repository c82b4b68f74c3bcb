"""Give use cases a database on which a face does something in the same transaction.

An Idempotency-Key is claimed, and an ETag or the values that a form showed compared, in
the transaction of the deed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor
from console.admin.references import lock_connection
from console.admin.services import Services
from store.database import Database, Work
from store.records import Connection

T = TypeVar("T")
First = Callable[[AsyncConnection], Awaitable[None]]


@dataclass(slots=True, eq=False, weakref_slot=True)
class GuardedDatabase:
    """A database whose first writing transaction begins with a check of ours."""

    wrapped: Database
    first: First
    is_done: bool = False

    @property
    def dialect(self) -> str:
        """Return the dialect of the database."""
        return self.wrapped.dialect

    def reading(self, *, single_statement: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a connection for reading."""
        return self.wrapped.reading(single_statement=single_statement)

    async def write(self, work: Work[T]) -> T:
        """Run the check, then the work, in one transaction."""
        if self.is_done:
            return await self.wrapped.write(work)

        async def checked(conn: AsyncConnection) -> T:
            await self.first(conn)
            return await work(conn)

        result = await self.wrapped.write(checked)
        self.is_done = True
        return result

    async def close(self) -> None:
        """Leave the database open: it is the server's."""


def guarded(services: Services, first: First) -> Services:
    """Return the services with a check before the first write."""
    return replace(services, db=GuardedDatabase(services.db, first))


def comparing(
    services: Services, actor: Actor, connection: str, check: Callable[[Connection], None]
) -> Services:
    """Return the services with a check of the connection, as it is then, before the
    first write; other writers of it wait for that transaction.
    """

    async def compare(conn: AsyncConnection) -> None:
        check(await lock_connection(conn, actor, connection))

    return guarded(services, compare)


@dataclass(slots=True, eq=False, weakref_slot=True)
class JoinedDatabase:
    """A database whose transactions are parts of one that is open already."""

    conn: AsyncConnection
    dialect: str

    def reading(self, *, single_statement: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """Read in the open transaction."""
        return self._reading()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        yield self.conn

    async def write(self, work: Work[T]) -> T:
        """Run the work in the open transaction."""
        return await work(self.conn)

    async def close(self) -> None:
        """Leave the transaction to its owner."""


async def together(services: Services, first: First, work: Callable[[Services], Awaitable[T]]) -> T:
    """Run a check, then several use cases, in one transaction: all of it or nothing."""

    async def all_of_it(conn: AsyncConnection) -> T:
        await first(conn)
        return await work(replace(services, db=JoinedDatabase(conn, services.db.dialect)))

    return await services.db.write(all_of_it)
