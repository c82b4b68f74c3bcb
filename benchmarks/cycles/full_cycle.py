"""A full cycle against the bare read and decode of the same Graph bytes, on both databases.

`python -m benchmarks.cycles.full_cycle 100000 2000` is the size of the goals; without arguments it is a fifth of that.
With `--explain` the slowest statements of each row are printed below it. With `--replay` what is measured is read
from kept answers, so that the simulator takes no core from it (`benchmarks.replay`); the first cycle is not. The last
row of a database is an increment after 100 changes. `--sqlite` and `--postgresql` leave the other database out, and
`--no-insert-floor` the floor of a first cycle, which holds all rows in memory: 13 GB for a million people.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.company import company
from benchmarks.cycles.changes import change_some, people_of
from benchmarks.replay import replayed
from benchmarks.server_usage import PRELOADED, ServerUsage, explain, measured_server
from tests.builders.secret_keys import secret_key
from tests.databases.postgres_server import admin_connection, running_postgres
from worker.graph.http.throttle import SHARE, WINDOW_S, Priority, quota_of

ROW = "{:<48}{:>8}{:>8}{:>10}{:>9}{:>12}{:>12}{:>8}{:>8}"


HEADINGS = ("", "CPU s", "wall s", "server s", "peak MB", "statements", "rows out", "x CPU", "x wall")


@dataclass(frozen=True, slots=True)
class Options:
    """What the flags of the command line say."""

    is_explained: bool = False
    is_replayed: bool = False
    has_insert_floor: bool = True
    only: str = ""
    """The one database to measure."""


def run(users: int = 20_000, groups: int = 400, *, options: Options | None = None) -> None:
    options = options or Options()
    load = os.getloadavg()[0]
    print(f"\nFull cycle: {users:,} users, {groups:,} groups; load {load:.1f}; x: of the floor")
    print(ROW.format(*HEADINGS))
    with company(users, groups) as simulated, _answers(simulated, options.is_replayed) as ready:
        for _ in range(1 + options.is_replayed):
            reading = child({}, "benchmarks.cycles.floor", json.dumps(ready))
        show("floor: read and decode", reading, reading)
        for name, url, empty_url in databases(options.only):
            _compare(name, ready, reading, url, empty_url, options)
    counts = f"{reading['bytes'] / 1e6:.1f} MB, {reading['memberships']:,.0f} memberships"
    print(f"  read: {counts}; peak memory counts imports (the Graph SDK alone is over 100 MB);", end=" ")
    print(f"load {os.getloadavg()[0]:.1f} at the end")


@contextmanager
def _answers(ready: Mapping[str, Any], is_replayed: bool) -> Iterator[Mapping[str, Any]]:
    if not is_replayed:
        yield ready
        return
    with tempfile.TemporaryDirectory() as folder, replayed(ready, Path(folder)) as through:
        yield through


def _compare(
    name: str,
    ready: Mapping[str, Any],
    reading: Mapping[str, float],
    url: str,
    empty_url: str,
    options: Options,
) -> None:
    environment = {
        "LEAVER_DATABASE_URL": url,
        "LEAVER_SECRET_KEY": secret_key("benchmarks"),
        "LEAVER_ALLOW_SIMULATOR": "1",
    }
    connection = connect(environment, ready)

    def told(label: str, usage: Mapping[str, float], floor: Mapping[str, float], server: ServerUsage) -> None:
        show(f"{name}: {label}", usage, floor, server)
        if options.is_explained:
            explain(server)

    with measured_server(url) as of_first:
        first = child(environment, "benchmarks.cycles.one_cycle", connection)
    writing: Mapping[str, float] = {}
    if options.has_insert_floor:
        leaver(environment | {"LEAVER_DATABASE_URL": empty_url}, "db", "upgrade")
        with measured_server(empty_url) as of_floor:
            writing = child({}, "benchmarks.cycles.floor", json.dumps(ready), url, empty_url)
        told(f"floor: that, and insert {writing['rows']:,.0f} rows", writing, writing, of_floor)
    told(f"first cycle, {first['changes']:,.0f} changes", first, writing, of_first)
    if options.is_replayed:
        child(environment, "benchmarks.cycles.one_cycle", connection)
    with measured_server(url) as of_again:
        again = child(environment, "benchmarks.cycles.one_cycle", connection)
    assert again["changes"] == 0, "the second cycle had something to change"
    told("the same with nothing to change", again, reading, of_again)
    _show_quota(again)
    change_some(ready["admin_url"], people_of(url))
    with measured_server(url) as of_increment:
        increment = child(environment, "benchmarks.cycles.one_cycle", connection, "incremental")
    told(f"an increment, {increment['changes']:,.0f} changes", increment, {}, of_increment)


def _show_quota(cycle: Mapping[str, float]) -> None:
    """Prints how long no cycle can read faster: Graph's quota admits so much in ten seconds."""
    share = SHARE[Priority.SCHEDULED] * quota_of(int(cycle["users"]))
    least_s = max(0.0, cycle["units"] / share - 1) * WINDOW_S
    beyond = cycle["wall_s"] - least_s
    print(f"  it cost {cycle['units']:,.0f} resource units, which three quarters of Graph's quota", end=" ")
    print(f"admit in {least_s:.0f} s at best: {beyond:.0f} s beyond that")


def databases(only: str = "") -> Iterator[tuple[str, str, str]]:
    """Gives each kind, or one, with the URLs of two databases."""
    if only != "PostgreSQL":
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite+aiosqlite:///{folder}"
            yield "SQLite", f"{url}/leaver.db", f"{url}/empty.db"
    if only != "SQLite":
        with running_postgres(PRELOADED) as url:
            with admin_connection(url) as connection:
                connection.execute("CREATE DATABASE empty")
            yield "PostgreSQL", url, url.removesuffix("postgres") + "empty"


def child(environment: Mapping[str, str], module: str, *arguments: str) -> dict[str, Any]:
    """Runs a module in a process of its own and reads the JSON line it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "LEAVER_LOG_LEVEL": "error", **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def connect(environment: Mapping[str, str], ready: Mapping[str, str], tenant_name: str = "Benchmark") -> str:
    """Makes a connection in mode `enforce` for a new tenant, in a migrated database; gives its id."""
    leaver(environment, "db", "upgrade")
    tenant = leaver(environment, "tenant", "create", tenant_name)
    connection = leaver(
        environment,
        *("connection", "create", tenant["slug"], "--name", "entra", "--mode", "enforce"),
        *("--entra-tenant-id", ready["entra_tenant_id"], "--client-id", ready["client_id"]),
        *("--client-secret", ready["client_secret"], "--app-id", ready["app_id"]),
        *("--login-url", ready["login_url"], "--graph-url", ready["graph_url"]),
    )
    return str(connection["id"])


def leaver(environment: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [Path(sys.executable).with_name("leaver"), *arguments, "--json"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def show(
    name: str,
    usage: Mapping[str, float],
    floor: Mapping[str, float],
    server: ServerUsage | None = None,
) -> None:
    """Prints a row. Without a server its columns are empty: SQLite's work is in the CPU of the process.

    Without a floor there is nothing to compare with.
    """
    server = server or ServerUsage()
    print(
        ROW.format(
            *(name, f"{usage['cpu_s']:.2f}", f"{usage['wall_s']:.2f}"),
            "" if server.cpu_s is None else f"{server.cpu_s:.2f}",
            f"{usage['peak_mb']:.0f}",
            "" if server.statements is None else f"{server.statements:,}",
            "" if server.rows_written is None else f"{server.rows_written:,}",
            *(f"{usage[each] / floor[each]:.1f}" if floor else "" for each in ("cpu_s", "wall_s")),
        ),
        flush=True,
    )


if __name__ == "__main__":
    sizes = [int(each) for each in sys.argv[1:] if not each.startswith("--")]
    only = {"--sqlite": "SQLite", "--postgresql": "PostgreSQL"}
    wanted = Options(
        is_explained="--explain" in sys.argv,
        is_replayed="--replay" in sys.argv,
        has_insert_floor="--no-insert-floor" not in sys.argv,
        only=next((only[each] for each in sys.argv if each in only), ""),
    )
    run(*sizes, options=wanted)
