"""The push against scim2-server's in-memory ASGI server, driven by the same load, on both databases.

Each server is one process; the load is another. Databases are durable: an answered write is on the disk.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cycles.full_cycle import child, leaver
from tests.builders.secret_keys import secret_key
from tests.databases.postgres_server import running_postgres

CONNECTIONS = 8
CROWD = 100_000
PEER, SQLITE, POSTGRES = "peer", "SQLite", "PostgreSQL"
ROW = "{:<36}{:>8}{:>9}{:>18}{:>9}{:>18}"

GOALS = {
    "create": ("create a user", 3, 2),
    "find": ("userName eq lookup", 5, 3),
    "patch": ("PATCH active", 3, 2),
    "create_one": ("create, one connection", 3, 2),
    "find_one": ("look-up, one connection", 5, 3),
    "patch_one": ("PATCH, one connection", 3, 2),
    "add_large": ("add a member to a group of 10,000", 500, 500),
}

Rates = Mapping[str, list[float]]


def run() -> None:
    """Prints the table."""
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        targets = [
            {
                "name": PEER,
                **stack.enter_context(peer()),
                "tokens": ["none"] * CONNECTIONS,
                "crowd_tokens": [],
            }
        ]
        for name, url in (
            (SQLITE, stack.enter_context(sqlite_file())),
            (POSTGRES, stack.enter_context(running_postgres(durable=True))),
        ):
            targets.append({"name": name, **stack.enter_context(server(url))})
        rates = child({}, "benchmarks.push.load", json.dumps(targets))
    print(f"\nPush: 2,000 users, {CONNECTIONS} connections, requests per second (median of rounds);", end=" ")
    print(f"load {load:.1f} before, {os.getloadavg()[0]:.1f} after")
    print(ROW.format("", PEER, SQLITE, "x peer (goal)", POSTGRES, "x peer (goal)"))
    for work, (title, *goals) in GOALS.items():
        _show_against_peer(title, rates[work], goals)
    print(ROW.format("", "", SQLITE, "x (goal)", POSTGRES, "x (goal)"))
    _show_pair("add a member: group of 10 / 10,000", rates["add_small"], rates["add_large"], 1.2)
    _show_pair(f"list 100 of {CROWD:,}: first / 50,000th", rates["list_first"], rates["list_deep"], 3)
    print(f"  writing 4 kB to the disk and flushing it takes {_disk_ms():.1f} ms")


def _show_against_peer(title: str, rates: Rates, goals: list[int]) -> None:
    cells = [f"{statistics.median(rates[PEER]):.1f}"]
    for name, goal in zip((SQLITE, POSTGRES), goals, strict=True):
        ratio = _ratio(rates[name], rates[PEER])
        cells += [f"{statistics.median(rates[name]):,.0f}", f"{ratio:,.1f} ({goal})"]
    print(ROW.format(title, *cells))


def _show_pair(title: str, easy: Rates, hard: Rates, goal: float) -> None:
    """Shows how much more the hard case costs than the easy one."""
    cells = [""]
    for name in (SQLITE, POSTGRES):
        rate = f"{statistics.median(hard[name]):,.0f}"
        cells += [rate, f"{_ratio(easy[name], hard[name]):.2f} (< {goal})"]
    print(ROW.format(title, *cells))


def _ratio(rates: list[float], others: list[float]) -> float:
    """Gives the median of the rounds' ratios: both sides of each were measured within seconds."""
    return statistics.median(rate / other for rate, other in zip(rates, others, strict=True))


@contextmanager
def peer() -> Iterator[dict[str, Any]]:
    with running_process([sys.executable, "-m", "benchmarks.push.peer"], {}) as ready:
        yield ready


@contextmanager
def server(database_url: str) -> Iterator[dict[str, Any]]:
    """Runs `leaver serve` over two tenants, one of them with a crowd; a token for each connection to it.

    How many requests a token may make is not what is measured: that limit is out of reach.
    """
    environment = {
        "LEAVER_DATABASE_URL": database_url,
        "LEAVER_SECRET_KEY": secret_key("benchmarks"),
        "LEAVER_ALLOW_SIMULATOR": "1",
    }
    leaver(environment, "db", "upgrade")
    people, crowd = _connection(environment, "People"), _connection(environment, "Crowd")
    child(environment, "benchmarks.push.people", crowd, str(CROWD))
    tokens = {
        "tokens": [_token(environment, people) for _ in range(CONNECTIONS)],
        "crowd_tokens": [_token(environment, crowd) for _ in range(CONNECTIONS)],
    }
    command = [str(Path(sys.executable).with_name("leaver")), "serve", "--port", "0", "--json"]
    unlimited = {"LEAVER_SCIM_REQUESTS_PER_S": "1000000"}
    with running_process(command, {"LEAVER_LOG_LEVEL": "error", **unlimited, **environment}) as ready:
        yield {"base": ready["scim_url"], **tokens}


def _connection(environment: Mapping[str, str], name: str) -> str:
    tenant = leaver(environment, "tenant", "create", name)
    made = leaver(environment, "connection", "create", tenant["slug"], "--name", name)
    leaver(environment, "connection", "set", made["id"], "--no-brake-push")  # everybody is disabled
    return str(made["id"])


def _token(environment: Mapping[str, str], connection_id: str) -> str:
    return str(leaver(environment, "token", "create", connection_id, "--name", "benchmark")["token"])


@contextmanager
def running_process(command: list[str], environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Runs a server; gives the JSON line by which it says that it is ready."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        ready: dict[str, Any] = json.loads(process.stdout.readline())
        yield ready
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def sqlite_file() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite+aiosqlite:///{Path(folder) / 'leaver.db'}"


def _disk_ms() -> float:
    """What every commit waits for, on the disk that held the databases."""
    with tempfile.TemporaryFile() as file:
        took = []
        for _ in range(50):
            begin = time.perf_counter()
            os.pwrite(file.fileno(), b"." * 4096, 0)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1000
