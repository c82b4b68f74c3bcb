"""10,000 connections of 100 people at the interval of 5 minutes: what their increments cost one worker.

`python -m benchmarks.workers.many_connections [CONNECTIONS]` runs so many on both databases, each once a minute and
with nothing to change, after their first cycles, and multiplies the CPU of one increment by the 33 a second that the
10,000 make. The worker's CPU is that of its process, DBOS and SQLite included; PostgreSQL's is beside it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.company import companies
from benchmarks.cycles.full_cycle import child, connect, databases, leaver
from benchmarks.server_usage import measured_server
from store.database import is_sqlite, libpq_url, sqlite_path
from tests.builders.secret_keys import secret_key

CONNECTIONS = 120
PEOPLE, GROUPS = 100, 4
ENTRA_TENANTS = 6
INTERVAL_S = 60
MEASURED_S = 60.0
WANTED_PER_S = 10_000 / 300
TIMEOUT_S = 600.0
ROW = "{:<14}{:>12}{:>14}{:>16}{:>12}{:>20}{:>10}"
_FIRST = "SELECT count(DISTINCT connection_id) FROM cycles WHERE finished_at IS NOT NULL"
_ENDED = "SELECT count(*) FROM cycles WHERE finished_at IS NOT NULL AND kind = 'incremental'"
_LATEST = "SELECT max(age) FROM (SELECT {age} AS age FROM cycles GROUP BY connection_id) AS latest"


def run(connections: int = CONNECTIONS) -> None:
    """Prints a row for each database."""
    print(f"\n{connections} connections of {PEOPLE} people, an increment a minute each;", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}")
    print(
        ROW.format(
            *("", "increments", "CPU ms each", "server ms each", "oldest s"),
            *("10,000: of a core", "peak MB"),
        )
    )
    with companies(ENTRA_TENANTS, PEOPLE, GROUPS) as entra:
        for name, url, _ in databases():
            _measure(name, url, entra, connections)


def _measure(name: str, url: str, entra: list[dict[str, Any]], connections: int) -> None:
    environment = {
        "LEAVER_DATABASE_URL": url,
        "LEAVER_SECRET_KEY": secret_key("benchmarks"),
        "LEAVER_ALLOW_SIMULATOR": "1",
    }
    original = connect(environment, entra[0])
    leaver(environment, "connection", "set", original, "--interval-minutes", "1")
    child(environment, "benchmarks.workers.many", original, str(connections), json.dumps(entra), "now")
    command = [str(Path(sys.executable).with_name("leaver")), "worker"]
    worker = subprocess.Popen(
        command, env={**os.environ, "LEAVER_LOG_LEVEL": "error", "LEAVER_WORKER_TICK_S": "1", **environment}
    )
    try:
        _wait(url, connections)
        time.sleep(INTERVAL_S / 2)
        with measured_server(url) as server:
            before, cpu = _number(url, _ENDED), _cpu_s(worker)
            time.sleep(MEASURED_S)
            ended, cpu = _number(url, _ENDED) - before, _cpu_s(worker) - cpu
        oldest, peak = _oldest_s(url), _peak_mb(worker)
    finally:
        worker.terminate()
        worker.wait()
    each = cpu / ended
    of_server = "" if server.cpu_s is None else f"{server.cpu_s / ended * 1000:.1f}"
    cells = (f"{each * 1000:.1f}", of_server, f"{oldest:.0f}", f"{each * WANTED_PER_S:.0%}", f"{peak:.0f}")
    print(ROW.format(name, ended, *cells))


def _wait(url: str, connections: int) -> None:
    """Waits until every connection has had its first cycle."""
    deadline = time.monotonic() + TIMEOUT_S
    while _number(url, _FIRST) < connections:
        assert time.monotonic() < deadline, "the first cycles do not end"
        time.sleep(1)


def _oldest_s(url: str) -> float:
    """Gives how long ago the connection that waits longest had its last cycle."""
    age = (
        "(julianday('now') - julianday(max(started_at))) * 86400"
        if is_sqlite(url)
        else "extract(epoch FROM now() - max(started_at))"
    )
    return _number(url, _LATEST.format(age=age))


def _number(url: str, query: str) -> float:
    if is_sqlite(url):
        with sqlite3.connect(sqlite_path(url)) as database:
            return float(database.execute(query).fetchone()[0])
    with psycopg.connect(libpq_url(url)) as server:
        row = server.execute(query.encode()).fetchone()
        assert row is not None
        return float(row[0])


def _status(worker: subprocess.Popen[bytes]) -> Mapping[str, str]:
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def _peak_mb(worker: subprocess.Popen[bytes]) -> float:
    return int(_status(worker)["VmHWM"].split()[0]) / 1024


def _cpu_s(worker: subprocess.Popen[bytes]) -> float:
    """User and system time, as proc(5) counts it."""
    fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
