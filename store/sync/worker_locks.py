"""Advisory locks of PostgreSQL by which worker processes know one another.

Each worker holds one lock in a session of its own. The server frees the lock with the
process or, by TCP keep-alive, with the machine. The locks belong to a session and not
to data, so the session is no connection of `store.database`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import psycopg

from store.engine.base import unreachable
from store.engine.urls import libpq_url

ADVISORY_CLASS = 0x1EA7E4
"""First key of our two-part advisory locks; the second is a hash of the process id."""

_Session: TypeAlias = psycopg.AsyncConnection[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class WorkerLockSession:
    """A session of PostgreSQL that takes and frees locks of worker processes."""

    _session: _Session

    async def lock(self, process_id: str) -> None:
        """Take the lock of a process; wait while another session holds it."""
        await self._session.execute("SELECT pg_advisory_lock(%s, %s)", _key(process_id))

    async def try_lock(self, process_id: str) -> bool:
        """Take the lock of a process; return False while another session holds it.

        A session may take its own lock again.
        """
        found = await self._session.execute("SELECT pg_try_advisory_lock(%s, %s)", _key(process_id))
        return await found.fetchone() == (True,)

    async def unlock(self, process_id: str) -> None:
        """Free the lock of a process."""
        await self._session.execute("SELECT pg_advisory_unlock(%s, %s)", _key(process_id))

    async def is_any_held(self) -> bool:
        """Return whether any session holds the lock of a process on this database."""
        found = await self._session.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1",
            (ADVISORY_CLASS,),
        )
        return await found.fetchone() is not None

    async def is_alive(self) -> bool:
        """Return whether the session, and with it every lock it took, still exists."""
        try:
            await self._session.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    async def aclose(self) -> None:
        """End the session, which frees its locks."""
        await self._session.close()


async def open_session(database_url: str) -> WorkerLockSession:
    """Open a session; raise `DatabaseUnreachable` where PostgreSQL does not answer.

    Both sides send keep-alives: the server notices within half a minute that the
    machine of a worker is gone, and the worker that the server is.
    """
    try:
        session = await psycopg.AsyncConnection.connect(
            libpq_url(database_url),
            autocommit=True,
            application_name="leaver-worker",
            connect_timeout=10,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            # Keep-alives are not sent while a query of ours is on its way: this limit
            # covers it (libpq, "tcp_user_timeout").
            tcp_user_timeout=25_000,
            options="-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
        )
    except psycopg.OperationalError as error:
        raise unreachable(error) from error
    return WorkerLockSession(session)


def _key(process_id: str) -> tuple[int, int]:
    digest = hashlib.sha256(process_id.encode()).digest()
    return ADVISORY_CLASS, int.from_bytes(digest[:4], signed=True)
