"""A worker that has nothing to do, in a process of its own (`python -m benchmarks.workers.idle_worker CONNECTIONS SECONDS`).

Makes that many connections of which none is due, works for that long, and prints one JSON line: what it cost once
it had come to rest. SQLite's statements are counted at the driver, PostgreSQL's by the server.
"""

from __future__ import annotations

import asyncio
import sqlite3.dbapi2
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.usage import measured, tell
from benchmarks.workers.many import copy_tenants
from config.settings import load_settings
from store.database import Database, is_sqlite, libpq_url, open_database
from store.tenancy import connections, tenants
from worker.process import working

SETTLE_S = 8.0


async def run(number: int, seconds: float) -> None:
    settings = load_settings()
    count = count_sqlite() if is_sqlite(settings.database_url) else count_postgresql(settings.database_url)
    db = await open_database(settings.database_url)
    await furnish(db, number)
    async with working(settings, db):
        await asyncio.sleep(SETTLE_S)
        before = count()
        with measured() as usage:
            await asyncio.sleep(seconds)
        statements = count() - before
    await db.close()
    tell(usage, queries_per_s=statements / usage.wall_s, core_share=usage.cpu_s / usage.wall_s)


async def furnish(db: Database, number: int) -> None:
    """Makes connections that are due tomorrow."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    async def work(conn: AsyncConnection) -> None:
        tenant = await tenants.create(conn, "Idle")
        one = await connections.create(
            conn, tenant.id, "entra", connections.ConnectionSettings(sealed_credential="sealed"), now=tomorrow
        )
        await copy_tenants(conn, one, [], number - 1, tomorrow)

    await db.write(work)


def count_sqlite() -> Callable[[], int]:
    """Counts every statement of every connection that this process opens from now on."""
    counted = 0
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def note(_statement: str) -> None:
        nonlocal counted
        counted += 1

    def counting(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(note)
        return connection

    sqlite3.connect = sqlite3.dbapi2.connect = counting  # type: ignore[assignment]
    return lambda: counted


def count_postgresql(database_url: str) -> Callable[[], int]:
    """Asks the server how many statements it has run for anybody: this benchmark has it for itself."""
    url = libpq_url(database_url)
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def count() -> int:
        row = connection.execute("SELECT sum(calls) FROM pg_stat_statements").fetchone()
        assert row is not None
        return int(row[0] or 0)

    return count


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), float(sys.argv[2])))
