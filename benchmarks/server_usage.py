"""What a piece of work cost the database's server, and in which statements.

PostgreSQL's processes are found from a backend of its own: CPU is read from /proc, statements from
pg_stat_statements, written rows from pg_stat_database. SQLite works inside the measured process: its CPU is part of
that, and it counts nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.databases.postgres_server import admin_connection

PRELOADED = "shared_preload_libraries=pg_stat_statements"
"""The setting with which a server has to be started."""
SHOWN_STATEMENTS = 12
_TICKS = os.sysconf("SC_CLK_TCK")
_SLOWEST = """
    SELECT total_exec_time / 1000, calls, rows, regexp_replace(query, '\\s+', ' ', 'g')
    FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid AND datname = current_database()
    ORDER BY total_exec_time DESC LIMIT %s
"""
_COUNTED = """
    SELECT (SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
            JOIN pg_database ON pg_database.oid = dbid AND datname = current_database()),
           tup_inserted + tup_updated + tup_deleted
    FROM pg_stat_database WHERE datname = current_database()
"""


@dataclass(slots=True)
class ServerUsage:
    """None where the database has no server."""

    cpu_s: float | None = None
    statements: int | None = None
    rows_written: int | None = None
    slowest: tuple[tuple[float, int, int, str], ...] = ()
    """Seconds, calls, rows and text of the statements that took longest."""


@contextmanager
def measured_server(url: str) -> Iterator[ServerUsage]:
    """Gives a `ServerUsage` of the database at this URL that is filled in when the body ends."""
    usage = ServerUsage()
    if not url.startswith("postgresql"):
        yield usage
        return
    with admin_connection(url, url.rpartition("/")[2]) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.execute("SELECT pg_stat_statements_reset()")
        postmaster = _parent(connection.info.backend_pid)
        _, rows_before = _counted(connection)
        cpu_before = _cpu_s(postmaster)
        yield usage
        usage.cpu_s = _cpu_s(postmaster) - cpu_before
        usage.statements, rows = _counted(connection)
        usage.rows_written = rows - rows_before
        usage.slowest = tuple(connection.execute(_SLOWEST, [SHOWN_STATEMENTS]).fetchall())


def explain(usage: ServerUsage) -> None:
    """Prints the slowest statements of the work."""
    for seconds, calls, rows, query in usage.slowest:
        print(f"    {seconds:8.2f} s {calls:>9,} calls {rows:>10,} rows  {query[:140]}")


def _counted(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    connection.execute("SELECT pg_stat_clear_snapshot()")
    found = connection.execute(_COUNTED).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _cpu_s(postmaster: int) -> float:
    """Gives the CPU time of the server, of its processes and of those that have ended."""
    ticks = sum(map(int, _stat(postmaster)[11:15]))
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = _stat(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[1]) == postmaster:
            ticks += sum(map(int, stat[11:13]))
    return ticks / _TICKS


def _stat(pid: int) -> list[str]:
    """Gives the fields of /proc/PID/stat that follow the name: state, parent, …, utime at 11."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
