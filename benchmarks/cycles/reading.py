"""Read a company from Graph against the bare read and decode of the same bytes.

`python -m benchmarks reading` runs both, each in a process of its own. With a ready line as
argument (`python -m benchmarks.cycles.reading READY_JSON`) this module reads one snapshot and prints
one JSON line. Only the transport, the retries and the decoding differ from the floor: no
database is involved.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from statistics import median
from typing import Any

from benchmarks.company import company
from benchmarks.cycles.full_cycle import HEADINGS, ROW, child, show
from benchmarks.cycles.one_cycle import LOADED_ON_USE
from benchmarks.usage import measured, tell
from store.records import Connection, ConnectionId, Policy, TenantId

ROUNDS = 3


def run(users: int = 20_000, groups: int = 400) -> None:
    print(f"\nReading: {users:,} users, {groups:,} groups, median of {ROUNDS}")
    print(ROW.format(*HEADINGS))
    with company(users, groups) as ready:
        argument = json.dumps(ready)
        rounds = [
            (child({}, "benchmarks.cycles.floor", argument), child({}, "benchmarks.cycles.reading", argument))
            for _ in range(ROUNDS)
        ]
    floor, reading = (_medians([each[of] for each in rounds]) for of in (0, 1))
    show("floor: read and decode", floor, floor)
    show("a snapshot through worker.graph", reading, floor)


def _medians(usages: list[dict[str, Any]]) -> dict[str, float]:
    return {name: median(usage[name] for usage in usages) for name in ("cpu_s", "wall_s", "peak_mb")}


async def read(ready: Mapping[str, str]) -> None:
    for module in LOADED_ON_USE:
        importlib.import_module(module)
    from worker.graph.auth.credentials import Credential
    from worker.graph.http.client import open_graph
    from worker.graph.read.snapshot import read_snapshot

    connection = _connection(ready)
    with measured() as usage:
        async with open_graph(connection, Credential(secret=ready["client_secret"])) as graph:
            snapshot = await read_snapshot(graph, connection)
    assert all(listed.finished for listed in snapshot.completeness.lists)
    tell(usage, users=len(snapshot.users), groups=len(snapshot.groups))


def _connection(ready: Mapping[str, str]) -> Connection:
    return Connection(
        id=ConnectionId("benchmark"),
        tenant_id=TenantId("benchmark"),
        name="benchmark",
        entra_tenant_id=ready["entra_tenant_id"],
        client_id=ready["client_id"],
        app_id=ready["app_id"],
        login_url=ready["login_url"],
        graph_url=ready["graph_url"],
        interval_minutes=40,
        policy=Policy(),
        has_credential=True,
        credential_changed_at=None,
        credential_expires_at=None,
        created_at=datetime.now(UTC),
    )


if __name__ == "__main__":
    asyncio.run(read(json.loads(sys.argv[1])))
