"""10,000 connections of 100 people at the interval of 5 minutes: what their increments cost a worker.

`python -m benchmarks.workers.many_connections [CONNECTIONS [MINUTES [WORKERS [LATENCY_S [DATABASE]]]]]`: so many connections
(2,000) that were read before, each due once in so many minutes (1), which is as often as 10,000 in 5. On SQLite they
are one worker's, on PostgreSQL those of each number of workers in WORKERS (1,2,4). Nothing changes, and Graph answers
LATENCY_S (0) later than the simulator can. The CPU of a worker is that of its process, DBOS and SQLite included;
PostgreSQL's is beside it. Empty jobs tell what DBOS has of both.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.company import companies
from benchmarks.cycles.full_cycle import child, connect, databases, leaver
from benchmarks.rounds import cpu_of
from benchmarks.server_usage import ServerUsage, measured_server
from benchmarks.workers.two_workers import answer_late
from store.database import is_sqlite, libpq_url, sqlite_path
from tests.builders.secret_keys import secret_key

CONNECTIONS, MINUTES = 2_000, 1
WORKERS = (1, 2, 4)
PEOPLE, GROUPS = 100, 4
ENTRA_TENANTS = 6
INTERVALS = 2
"""Measured, after another one to warm up."""
LOOK_EVERY_S = 5.0
EMPTY_JOBS = 400
ROW = "{:<24}{:>10}{:>9}{:>9}{:>11}{:>11}{:>10}{:>11}{:>9}"
_ENDED = "SELECT count(*) FROM cycles WHERE finished_at IS NOT NULL AND kind = 'incremental'"
_NOT_APPLIED = "SELECT count(*) FROM cycles WHERE finished_at IS NOT NULL AND status <> 'applied'"
_OLDEST = "SELECT {age} FROM connections WHERE id LIKE 'copy%'"
_BY_DBOS = """
    SELECT coalesce(sum(total_exec_time) FILTER (WHERE query LIKE '%dbos%') / sum(total_exec_time), 0)
    FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid AND datname = current_database()
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A database with its connections, and how often each is due."""

    name: str
    url: str
    environment: Mapping[str, str]
    model: str
    connections: int
    interval_s: float


def run(
    connections: int = CONNECTIONS,
    minutes: int = MINUTES,
    workers: str = "",
    latency_s: float = 0.0,
    only: str = "",
) -> None:
    """Prints a row for each database and number of workers."""
    print(f"\n{connections:,} connections of {PEOPLE} people, each due every {minutes} min, wanted", end=" ")
    print(
        f"{connections / minutes / 60:.1f} a second; Graph takes {latency_s} s; load {os.getloadavg()[0]:.1f}"
    )
    heads = ("increments", "a second", "CPU ms", "server ms", "of a core", "latest s", "failed", "peak MB")
    print(ROW.format("", *heads))
    numbers = tuple(map(int, workers.split(","))) if workers else WORKERS
    with companies(ENTRA_TENANTS, PEOPLE, GROUPS) as entra:
        for name, url, _ in databases(only):
            scene = _scene(name, url, entra, connections, minutes)
            answer_late(entra, latency_s)
            for number in numbers if not is_sqlite(url) else (1,):
                _measure(scene, number)
            answer_late(entra, 0.0)


def _scene(name: str, url: str, entra: list[dict[str, Any]], connections: int, minutes: int) -> Scene:
    environment = {
        "LEAVER_DATABASE_URL": url,
        "LEAVER_SECRET_KEY": secret_key("benchmarks"),
        "LEAVER_ALLOW_SIMULATOR": "1",
    }
    models = [connect(environment, ready, f"Model {place}") for place, ready in enumerate(entra)]
    for model in models:
        leaver(environment, "connection", "set", model, "--interval-minutes", str(minutes))
        child(environment, "benchmarks.cycles.one_cycle", model)
    child(environment, "benchmarks.workers.read_connections", json.dumps(models), str(connections))
    return Scene(name, url, environment, models[0], connections, minutes * 60.0)


def _measure(scene: Scene, number: int) -> None:
    url, latest_s, peak_mb = scene.url, 0.0, 0.0
    failed = _number(url, _NOT_APPLIED)
    with _running(scene.environment, number) as workers:
        time.sleep(scene.interval_s * 1.5)  # a first cycle comes after 1.25 intervals at the latest
        with measured_server(url) as server:
            before, cpu_s, began = _number(url, _ENDED), _cpu_s(workers), time.monotonic()
            while time.monotonic() - began < scene.interval_s * INTERVALS:
                time.sleep(LOOK_EVERY_S)
                latest_s = max(latest_s, _number(url, _OLDEST.format(age=_age(url))))
            ended, cpu_s = _number(url, _ENDED) - before, _cpu_s(workers) - cpu_s
            wall_s = time.monotonic() - began
            by_dbos = 0.0 if is_sqlite(url) else _number(url, _BY_DBOS)
        peak_mb = max(map(_peak_mb, workers))
        failed = _number(url, _NOT_APPLIED) - failed
        _show(scene, number, ended, wall_s, cpu_s, server, latest_s, failed, peak_mb)
        if server.statements is not None:
            told = (
                f"{server.statements / ended:.1f} statements an increment, {by_dbos:.0%} of their time DBOS's"
            )
            print(f"  PostgreSQL: {told}; {(server.rows_written or 0) / ended:.1f} rows")
        if number == 1:
            _tell_of_empty_jobs(scene, workers)


def _show(
    scene: Scene,
    number: int,
    ended: float,
    wall_s: float,
    cpu_s: float,
    server: ServerUsage,
    latest_s: float,
    failed: float,
    peak_mb: float,
) -> None:
    of_server = "" if server.cpu_s is None else f"{server.cpu_s / ended * 1000:.1f}"
    cells = (f"{ended / wall_s:.1f}", f"{cpu_s / ended * 1000:.1f}", of_server, f"{cpu_s / wall_s:.0%}")
    rest = (f"{latest_s:.0f}", f"{failed:.0f}", f"{peak_mb:.0f}")
    print(ROW.format(f"{scene.name}, {number} worker(s)", f"{ended:.0f}", *cells, *rest), flush=True)


def _tell_of_empty_jobs(scene: Scene, workers: Sequence[subprocess.Popen[bytes]]) -> None:
    """Nothing is due meanwhile."""
    _do(scene.url, "UPDATE connections SET paused_at = created_at")
    time.sleep(LOOK_EVERY_S * 2)
    idle, began = _cpu_s(workers), time.monotonic()
    time.sleep(LOOK_EVERY_S * 2)
    idle_of_a_second = (_cpu_s(workers) - idle) / (time.monotonic() - began)
    with measured_server(scene.url) as server:
        cpu_s, began = _cpu_s(workers), time.monotonic()
        submitting = child(scene.environment, "benchmarks.workers.empty_jobs", scene.model, str(EMPTY_JOBS))
        cpu_s = _cpu_s(workers) - cpu_s - idle_of_a_second * (time.monotonic() - began)
    each = [submitting["cpu_s"], cpu_s] + ([] if server.cpu_s is None else [server.cpu_s])
    names = ("to submit", "to run", "of PostgreSQL")
    told = ", ".join(f"{s / EMPTY_JOBS * 1000:.1f} ms {name}" for s, name in zip(each, names, strict=False))
    print(
        f"  an empty job: {told}; a worker with nothing to do: {idle_of_a_second:.1%} of a core", flush=True
    )
    _do(scene.url, "UPDATE connections SET paused_at = NULL")


@contextmanager
def _running(environment: Mapping[str, str], number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [str(Path(sys.executable).with_name("leaver")), "worker"]
    surroundings = {**os.environ, "LEAVER_LOG_LEVEL": "error", **environment}
    workers = [subprocess.Popen(command, env=surroundings) for _ in range(number)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


def _age(url: str) -> str:
    if is_sqlite(url):
        return "(julianday('now') - julianday(min(last_cycle_at))) * 86400"
    return "extract(epoch FROM now() - min(last_cycle_at))"


def _number(url: str, query: str) -> float:
    if is_sqlite(url):
        with sqlite3.connect(sqlite_path(url)) as database:
            return float(database.execute(query).fetchone()[0] or 0)
    with psycopg.connect(libpq_url(url)) as server:
        row = server.execute(query.encode()).fetchone()
        assert row is not None
        return float(row[0] or 0)


def _do(url: str, statement: str) -> None:
    if is_sqlite(url):
        with sqlite3.connect(sqlite_path(url), timeout=30) as database:
            database.execute(statement)
    else:
        with psycopg.connect(libpq_url(url), autocommit=True) as server:
            server.execute(statement.encode())


def _peak_mb(worker: subprocess.Popen[bytes]) -> float:
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)["VmHWM"].split()[0]) / 1024


def _cpu_s(workers: Sequence[subprocess.Popen[bytes]]) -> float:
    return sum(cpu_of(worker.pid) for worker in workers)


if __name__ == "__main__":
    given = [*sys.argv[1:], *[""] * 5]
    run(int(given[0] or CONNECTIONS), int(given[1] or MINUTES), given[2], float(given[3] or 0), given[4])
