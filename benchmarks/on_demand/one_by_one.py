"""People provisioned one by one in a process of its own (`python -m benchmarks.on_demand.one_by_one CONNECTION_ID`).

Prints one JSON line: milliseconds for each. Imports, token and first requests are made before the measuring.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

from config.settings import load_settings
from store.database import Database, open_database
from store.directory import users
from store.records import Connection
from store.tenancy import connections
from worker.locks.hold import LeaseSettings
from worker.locks.lease import holding
from worker.on_demand.provision import provision_each, sharing_graph
from worker.services import WorkerServices, build_services

PEOPLE, WARM_UP = 40, 5


async def run(reference: str) -> None:
    settings = load_settings()
    db = await open_database(settings.database_url)
    async with db.reading() as conn:
        connection = await connections.find(conn, reference)
    people = await _some(db, connection)
    async with sharing_graph(build_services(settings, db)) as services:
        await _timed(services, connection, people[:WARM_UP])
        cpu = time.process_time()
        took = await _timed(services, connection, people[WARM_UP:])
        cpu_ms = (time.process_time() - cpu) / len(took) * 1000
    await db.close()
    p95 = statistics.quantiles(took, n=20)[-1]
    print(json.dumps({"p50_ms": statistics.median(took), "p95_ms": p95, "cpu_ms": cpu_ms}))


async def _some(db: Database, connection: Connection) -> list[str]:
    async with db.reading() as conn:
        everybody = await users.load_state(conn, connection.tenant_id, connection.id)
    objects = (user.entra_object_id for user in everybody.values())
    return sorted(str(each) for each in objects if each)[:PEOPLE]


async def _timed(services: WorkerServices, connection: Connection, people: list[str]) -> list[float]:
    took = []
    lease = LeaseSettings("benchmark", services.settings.lease_s)
    async with holding(services.db, services.clock, connection.tenant_id, connection.id, lease) as hold:
        for person in people:
            began = time.perf_counter()
            [one] = await provision_each(services, connection, hold, [person])
            took.append((time.perf_counter() - began) * 1000)
            assert one.report.result == "unchanged", one.report
    return took


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
