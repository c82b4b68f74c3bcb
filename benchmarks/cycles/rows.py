"""The rows a first full cycle leaves behind, written again by the fastest way there is: the floor of applying it.

SQLite: `executemany` of the standard library in one transaction, with the settings that Leaver opens a file with.
PostgreSQL: COPY by asyncpg in one transaction. Values are ready before the clock starts; all indexes are there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from store.database import SQLITE_PRAGMAS, is_sqlite, sqlite_path

SETTING = ("tenants", "connections")
WRITTEN = ("users", "groups", "memberships", "provisioning_log", "events")
"""What issue 3 names: users, groups, memberships, and the log and event rows that go with them."""


@dataclass(frozen=True, slots=True)
class Rows:
    columns: tuple[str, ...]
    values: list[tuple[Any, ...]]


async def read_rows(url: str, tables: tuple[str, ...]) -> dict[str, Rows]:
    """Reads whole tables as the driver gives them."""
    if is_sqlite(url):
        with sqlite3.connect(sqlite_path(url)) as database:
            cursors = {table: database.execute(f"SELECT * FROM {table}") for table in tables}
            return {
                table: Rows(tuple(column[0] for column in cursor.description), cursor.fetchall())
                for table, cursor in cursors.items()
            }
    connection = await _connect(url)
    try:
        found = {table: await connection.fetch(f"SELECT * FROM {table}") for table in tables}
        return {t: Rows(tuple(rows[0].keys()), [tuple(row) for row in rows]) for t, rows in found.items()}
    finally:
        await connection.close()


async def write_rows(url: str, tables: Mapping[str, Rows]) -> None:
    """Writes them into empty tables, in one transaction."""
    if is_sqlite(url):
        _by_executemany(sqlite_path(url), tables)
    else:
        await _by_copy(url, tables)


def _by_executemany(path: Path, tables: Mapping[str, Rows]) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in SQLITE_PRAGMAS:
        database.execute(f"PRAGMA {pragma}")
    database.execute("BEGIN IMMEDIATE")
    for table, rows in tables.items():
        places = ", ".join("?" * len(rows.columns))
        database.executemany(
            f"INSERT INTO {table} ({', '.join(rows.columns)}) VALUES ({places})", rows.values
        )
    database.execute("COMMIT")
    database.close()


async def _by_copy(url: str, tables: Mapping[str, Rows]) -> None:
    connection = await _connect(url)
    try:
        async with connection.transaction():
            for table, rows in tables.items():
                await connection.copy_records_to_table(table, records=rows.values, columns=rows.columns)
    finally:
        await connection.close()


async def _connect(url: str) -> Any:
    return await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
