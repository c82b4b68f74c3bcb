"""What the worst 100 kB cost, and what 16 clients that send them do to another tenant; on both databases.

Costs are shares of the time that one PATCH of a title takes on the same server, without other clients. A Bulk counts as its
operations, as it does for the limit on requests.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cycles.full_cycle import child, leaver
from benchmarks.push.rates import POSTGRES, SQLITE, running_process, sqlite_file
from tests.builders.secret_keys import secret_key
from tests.databases.postgres_server import running_postgres

PEOPLE = 10_000
CLIENTS = 16
MOST_COST, MOST_DELAY = 50, 5
ROW = "{:<48}{:>16}{:>16}"


def run() -> None:
    """Prints the table."""
    found: dict[str, Mapping[str, Any]] = {}
    with sqlite_file() as url, server(url) as target:
        found[SQLITE] = child({}, "benchmarks.push.worst_load", json.dumps(target))
    with running_postgres(durable=True) as url, server(url) as target:
        found[POSTGRES] = child({}, "benchmarks.push.worst_load", json.dumps(target))
    print(f"\nWorst requests: at most 100 kB each, in a company of {PEOPLE:,}; costs in normal requests")
    print(ROW.format("", *found))
    for name in next(iter(found.values()))["costs"]:
        print(ROW.format(name, *(f"{each['costs'][name]:,.1f}" for each in found.values())))
    worst = (max(each["costs"].values()) for each in found.values())
    print(ROW.format(f"the worst of them (goal: at most {MOST_COST})", *(f"{each:,.1f}" for each in worst)))
    for what in ("normal_ms", "p99_alone_ms", "p99_beside_ms"):
        print(ROW.format(WORDS[what], *(f"{each[what]:,.1f}" for each in found.values())))
    delays = (each["p99_beside_ms"] / each["p99_alone_ms"] for each in found.values())
    print(ROW.format(f"times as long (goal: below {MOST_DELAY})", *(f"{each:,.1f}" for each in delays)))
    print(ROW.format("answers to the 16 clients", *(str(each["answers"]) for each in found.values())))


WORDS = {
    "normal_ms": "a normal request, ms",
    "p99_alone_ms": "another tenant alone, p99 of its requests, ms",
    "p99_beside_ms": f"beside {CLIENTS} clients that do their worst, ms",
}


@contextmanager
def server(database_url: str) -> Iterator[dict[str, Any]]:
    """Runs `leaver serve`, as it comes, over a company and a neighbour."""
    environment = {"LEAVER_DATABASE_URL": database_url, "LEAVER_SECRET_KEY": secret_key("benchmarks")}
    leaver(environment, "db", "upgrade")
    company, neighbour = (_connection(environment, name) for name in ("Company", "Neighbour"))
    child(environment, "benchmarks.push.people", company, str(PEOPLE))
    child(environment, "benchmarks.push.people", neighbour, "500")
    tokens = {
        "worst": _token(environment, company),
        "neighbour": _token(environment, neighbour),
    }
    command = [str(Path(sys.executable).with_name("leaver")), "serve", "--port", "0", "--json"]
    with running_process(command, {"LEAVER_LOG_LEVEL": "error", **environment}) as ready:
        yield {"base": ready["scim_url"], **tokens}


def _connection(environment: Mapping[str, str], name: str) -> str:
    tenant = leaver(environment, "tenant", "create", name)
    made = leaver(environment, "connection", "create", tenant["slug"], "--name", name)
    leaver(environment, "connection", "set", made["id"], "--no-brake-push")  # members are replaced
    return str(made["id"])


def _token(environment: Mapping[str, str], connection_id: str) -> str:
    return str(leaver(environment, "token", "create", connection_id, "--name", "benchmark")["token"])
