"""Two worker processes against one on PostgreSQL: 200 connections of 500 people, first cycle and nothing to change.

Workers, PostgreSQL and the simulated Entra share this machine's cores, and on two cores a second worker finds little
left. So beside the wall time stands how many cores the workers kept busy, and the third row lets Graph answer as late
as it does over the internet: then a worker mostly waits, and what counts is how many cycles are under way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.company import companies
from benchmarks.cycles.full_cycle import child, connect
from tests.builders.secret_keys import secret_key
from tests.databases.postgres_server import running_postgres

CONNECTIONS = 200
PEOPLE, GROUPS = 500, 10
ENTRA_TENANTS = 20
"""What Graph grants is shared by all who read one Entra tenant: here ten connections each."""
GOAL = 1.6
LATENCY_S = 0.2
"""What a request to Graph takes over the internet."""
TIMEOUT_S = 900.0
ROW = "{:<34}{:>10}{:>12}{:>14}{:>14}"


@dataclass(frozen=True, slots=True)
class Pass:
    """All connections once."""

    wall_s: float
    """From the first start of a cycle to the last end of one."""
    cpu_s: float
    """Of all workers together."""


def run() -> None:
    """Prints the table."""
    print(
        f"\nWorkers on PostgreSQL: {CONNECTIONS} connections of {PEOPLE} people, {os.cpu_count()} cores,",
        end=" ",
    )
    print(f"load {os.getloadavg()[0]:.1f}")
    print(ROW.format("", "wall s", "cycles a s", "worker CPU s", "cores by them"))
    with companies(ENTRA_TENANTS, PEOPLE, GROUPS) as entra:
        one, two = _passes(entra, 1), _passes(entra, 2)
    for name in one:
        speedup = one[name].wall_s / two[name].wall_s
        print(f"  {name}: two workers are {speedup:.2f} times as fast as one (goal {GOAL})")


def _passes(entra: list[dict[str, str]], workers: int) -> dict[str, Pass]:
    with running_postgres() as url:
        environment = {
            "LEAVER_DATABASE_URL": url,
            "LEAVER_SECRET_KEY": secret_key("benchmarks"),
            "LEAVER_ALLOW_SIMULATOR": "1",
        }
        original = connect(environment, entra[0])
        child(environment, "benchmarks.workers.many", original, str(CONNECTIONS - 1), json.dumps(entra))
        with (
            psycopg.connect(url.replace("+asyncpg", ""), autocommit=True) as database,
            _running(environment, workers) as processes,
        ):
            passes = {"first cycle": _pass(database, processes)}
            passes["nothing to change"] = _pass(database, processes)
            answer_late(entra, LATENCY_S)
            passes[f"the same, Graph takes {LATENCY_S} s"] = _pass(database, processes)
            answer_late(entra, 0.0)
    for name, each in passes.items():
        cells = (f"{each.wall_s:.1f}", f"{CONNECTIONS / each.wall_s:.1f}", f"{each.cpu_s:.1f}")
        print(ROW.format(f"{workers} worker(s): {name}", *cells, f"{each.cpu_s / each.wall_s:.2f}"))
    return passes


def answer_late(entra: list[dict[str, str]], delay_s: float) -> None:
    """Lets every answer of Entra come so late, as it does over the internet."""
    for ready in entra:
        url = f"{ready['admin_url'].rstrip('/')}/faults"
        body = json.dumps({"match": ".", "delay_s": delay_s}).encode() if delay_s else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, body, headers, method="POST" if delay_s else "DELETE")
        urllib.request.urlopen(request, timeout=10).close()


def _pass(database: psycopg.Connection[Any], processes: list[subprocess.Popen[bytes]]) -> Pass:
    """Makes every connection due, and waits until each has had its cycle."""
    began, cpu = datetime.now(UTC), _cpu_s(processes)
    # In a second: a slot is a second, and one in which a cycle ended is taken for done.
    database.execute("UPDATE connections SET next_due_at = now() + interval '1 second'")
    deadline = time.monotonic() + TIMEOUT_S
    query = "SELECT count(*), min(started_at), max(finished_at) FROM cycles WHERE started_at >= %s AND status = 'applied'"
    failed = "SELECT status, error FROM cycles WHERE started_at >= %s AND status <> 'applied' AND finished_at IS NOT NULL"
    while True:
        row = database.execute(query, (began,)).fetchone()
        assert row is not None
        done, first, last = row
        if done >= CONNECTIONS:
            return Pass((last - first).total_seconds(), _cpu_s(processes) - cpu)
        assert database.execute(failed, (began,)).fetchone() is None, database.execute(
            failed, (began,)
        ).fetchall()
        assert time.monotonic() < deadline, f"{done} cycles in {TIMEOUT_S:.0f} s"
        time.sleep(0.5)


@contextmanager
def _running(environment: Mapping[str, str], workers: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [str(Path(sys.executable).with_name("leaver")), "worker"]
    surroundings = {**os.environ, "LEAVER_LOG_LEVEL": "error", "LEAVER_WORKER_TICK_S": "1", **environment}
    processes = [subprocess.Popen(command, env=surroundings) for _ in range(workers)]
    try:
        time.sleep(5)  # both have started and loaded what they need
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _cpu_s(processes: list[subprocess.Popen[bytes]]) -> float:
    """User and system time, as proc(5) counts it."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
