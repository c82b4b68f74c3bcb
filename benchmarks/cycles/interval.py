"""What reading every five minutes costs: increments of one company with nothing and with little to change.

Prints what 1,000 connections of that size come to, each on its own beat, and how much of Graph's budget one takes.
`python -m benchmarks.cycles.interval CONNECTION ADMIN_URL ROUNDS CHANGES` runs the increments in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.company import company
from benchmarks.cycles.full_cycle import child, connect
from benchmarks.cycles.one_cycle import graph_units
from benchmarks.usage import measured, tell
from config.settings import load_settings
from store.database import open_database
from store.tenancy import connections
from tests.builders.secret_keys import secret_key
from worker.cycle.run import CycleRequest, run_cycle
from worker.graph.auth.kept_tokens import KeptTokens
from worker.locks.hold import LeaseSettings
from worker.locks.lease import holding
from worker.services import build_services

USERS, GROUPS, CONNECTIONS, MINUTES = 1_000, 20, 1_000, 5
ROUNDS, WARM_UP = 30, 3
UNITS_PER_10_S = 8_000
"""Graph's budget per app and tenant of more than 500 users (Graph, "Throttling limits")."""
UNITS_PER_20_S_OF_ALL = 150_000
"""Graph's budget per app over all tenants."""
ROW = "{:<30}{:>10}{:>10}{:>12}{:>14}{:>14}"


def run() -> None:
    """Prints a row for no change and one for three changes a round."""
    print(f"\nIncrements of {USERS:,} people, {GROUPS} groups on SQLite; load {os.getloadavg()[0]:.1f}")
    print(ROW.format("", "requests", "units", "CPU ms", "of a core", "units/20 s"))
    with company(USERS, GROUPS) as ready, tempfile.TemporaryDirectory() as folder:
        environment = {
            "LEAVER_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/leaver.db",
            "LEAVER_SECRET_KEY": secret_key("benchmarks"),
            "LEAVER_ALLOW_SIMULATOR": "1",
        }
        connection = connect(environment, ready)
        child(environment, "benchmarks.cycles.one_cycle", connection)
        for changes in (0, 3):
            told = child(
                environment,
                "benchmarks.cycles.interval",
                connection,
                ready["admin_url"],
                str(ROUNDS),
                str(changes),
            )
            _show(f"{changes} changes an increment", told)


def _show(name: str, told: Mapping[str, float]) -> None:
    a_second = CONNECTIONS / (MINUTES * 60)
    share, units = told["cpu_s"] / ROUNDS * a_second, told["units"] / ROUNDS
    print(
        ROW.format(
            name,
            f"{told['requests'] / ROUNDS:.1f}",
            f"{units:.1f}",
            f"{told['cpu_s'] / ROUNDS * 1000:.0f}",
            f"{share:.0%}",
            f"{units * a_second * 20:.0f}",
        )
    )
    of_all = units * a_second * 20 / UNITS_PER_20_S_OF_ALL
    print(f"  of Graph's budget: {units / UNITS_PER_10_S:.2%} of one tenant's, {of_all:.2%} of all tenants'")


async def _increments(reference: str, admin_url: str, rounds: int, changes: int) -> None:
    settings = load_settings()
    db = await open_database(settings.database_url)
    services = build_services(settings, db, kept=KeptTokens())  # as a worker does
    people = await asyncio.to_thread(_entitled, admin_url)

    async def increment() -> None:
        for _ in range(changes):
            await asyncio.to_thread(_rename, admin_url, next(people))
        async with db.reading() as conn:
            connection = await connections.find(conn, reference)
        lease = LeaseSettings("benchmark", settings.lease_s)
        async with holding(db, services.clock, connection.tenant_id, connection.id, lease) as hold:
            report = await run_cycle(services, connection, hold, CycleRequest())
        assert report.kind == "incremental", report
        assert sum(report.applied.values()) == changes, report

    for _ in range(WARM_UP):
        await increment()
    await asyncio.to_thread(_requests, admin_url, "DELETE")
    before = graph_units()
    with measured() as usage:
        for _ in range(rounds):
            await increment()
    requests = await asyncio.to_thread(_requests, admin_url, "GET")
    await db.close()
    tell(usage, requests=len(requests), units=graph_units() - before)


def _requests(admin_url: str, method: str) -> list[str]:
    """Gives the requests the simulator has answered, or forgets them."""
    asked = urllib.request.Request(f"{admin_url}/requests", method=method)
    with urllib.request.urlopen(asked) as response:
        body = response.read()
    requests: list[str] = json.loads(body) if method == "GET" else []
    return requests


def _entitled(admin_url: str) -> Iterator[str]:
    with urllib.request.urlopen(f"{admin_url}/state") as response:
        return iter([user["id"] for user in json.loads(response.read())["users"] if user["entitled"]])


def _rename(admin_url: str, user_id: str) -> Any:
    request = urllib.request.Request(
        f"{admin_url}/users/{user_id}",
        data=json.dumps({"jobTitle": f"Title of {user_id}"}).encode(),
        method="PATCH",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return response.read()


if __name__ == "__main__":
    asyncio.run(_increments(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
