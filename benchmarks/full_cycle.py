"""A full cycle against the bare read and decode of the same Graph bytes, on both databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.company import company
from benchmarks.postgres_server import running_postgres

USERS, GROUPS = 20_000, 500
ROW = "{:<44}{:>9}{:>9}{:>10}{:>12}"


def run() -> None:
    print(f"\nFull cycle: {USERS:,} users, {GROUPS:,} groups")
    print(ROW.format("", "CPU s", "wall s", "peak MB", "x floor CPU"))
    with company(USERS, GROUPS) as ready:
        floor = child({}, "benchmarks.floor", json.dumps(ready))
        show("floor: read and decode", floor, floor)
        for name, url in databases():
            environment = {"LEAVER_DATABASE_URL": url, "LEAVER_SECRET_KEY": "benchmarks-only-secret-key"}
            connection = connect(environment, ready)
            first = child(environment, "benchmarks.cycle", connection)
            again = child(environment, "benchmarks.cycle", connection)
            assert again["changes"] == 0, "the second cycle had something to change"
            show(f"{name}: first cycle, {first['changes']:,.0f} changes", first, floor)
            show(f"{name}: the same with nothing to change", again, floor)
            print(f"  first / nothing to change: {first['cpu_s'] / again['cpu_s']:.1f}")
    counts = f"{floor['bytes'] / 1e6:.1f} MB, {floor['memberships']:,.0f} memberships"
    print(f"  read: {counts}; peak memory counts imports (the Graph SDK alone is over 100 MB)")


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite+aiosqlite:///{Path(folder) / 'leaver.db'}"


def databases() -> Iterator[tuple[str, str]]:
    with _sqlite() as url:
        yield "SQLite", url
    with running_postgres() as url:
        yield "PostgreSQL", url


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


def connect(environment: Mapping[str, str], ready: Mapping[str, str]) -> str:
    """Makes a migrated database with one connection in mode `enforce`; gives its id."""
    leaver(environment, "db", "upgrade")
    tenant = leaver(environment, "tenant", "create", "Benchmark")
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


def show(name: str, usage: Mapping[str, float], floor: Mapping[str, float]) -> None:
    ratio = f"{usage['cpu_s'] / floor['cpu_s']:.1f}"
    numbers = (f"{usage['cpu_s']:.2f}", f"{usage['wall_s']:.2f}", f"{usage['peak_mb']:.0f}", ratio)
    print(ROW.format(name, *numbers))
