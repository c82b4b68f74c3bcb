"""Try a write, and look how much room is left: what a reading never shows.

A full disk, a file that became read-only and a standby all answer queries.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from store.database import Database, error_in_our_words, is_sqlite, jobs_path, sqlite_path
from store.engine.prepared_statements import command
from store.errors import DatabaseBusy, DiskFull, WrongDatabase

TIMEOUT_S = 4.0
LEAST_FREE_BYTES = 8 * 1024**2
"""Below it a large transaction on SQLite may not find room for its log."""

# SQLite: a number in the header of the file that is ours to use. PostgreSQL: a record
# in the write-ahead log and nowhere else. Neither touches a table.
_NEXT = "PRAGMA user_version = {}"
_EMIT = "SELECT pg_logical_emit_message(true, 'leaver', 'write check')"
_LARGEST = 2**31 - 1


async def check_write(db: Database, url: str) -> int | None:
    """Write a few bytes durably, and return how many bytes are free.

    None where that cannot be seen (PostgreSQL). Raises `StoreError`: what a write would
    meet now, or `DiskFull` shortly before.
    """
    try:
        await asyncio.wait_for(db.write(_write_on_sqlite if is_sqlite(url) else _emit), TIMEOUT_S)
    except TimeoutError:
        raise DatabaseBusy(f"a write did not come to its end within {TIMEOUT_S:g} s") from None
    if not is_sqlite(url):
        return None
    free: int = (await asyncio.to_thread(shutil.disk_usage, sqlite_path(url).absolute().parent)).free
    if free < LEAST_FREE_BYTES:
        raise DiskFull(f"the disk of the database has {free / 1024**2:.1f} MB left: make room")
    return free


async def _write_on_sqlite(conn: AsyncConnection) -> None:
    number = (await conn.exec_driver_sql("PRAGMA user_version")).scalar() or 0
    await conn.exec_driver_sql(_NEXT.format((int(number) + 1) % _LARGEST))


async def _emit(conn: AsyncConnection) -> None:
    # A standby, or a server whose disk is being mended.
    if (await conn.exec_driver_sql("SHOW transaction_read_only")).scalar() == "on":
        raise WrongDatabase(
            "PostgreSQL takes no writes now (read-only, or a standby): check LEAVER_DATABASE_URL"
        )
    await command(conn, _EMIT)


async def check_jobs_write(url: str) -> None:
    """Write to the file of the job engine, where there is one. Raises `StoreError`.

    On PostgreSQL the jobs are in the same database.
    """
    if is_sqlite(url) and jobs_path(url).exists():
        await asyncio.to_thread(_write_to_file, jobs_path(url))


def _write_to_file(path: Path) -> None:
    try:
        with closing(sqlite3.connect(path, timeout=TIMEOUT_S, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            [number] = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(_NEXT.format((number + 1) % _LARGEST))
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        ours = error_in_our_words(error)
        if ours is None:
            raise
        raise type(ours)(f"{path.name}: {ours}") from error
