"""One cycle in a process of its own (`python -m benchmarks.cycles.one_cycle CONNECTION_ID`), set up by the environment.

It reads everything, unless `incremental` follows: then it must be an increment. With `increments` the process lives on
as a worker does, and runs one for each line that it reads.
Prints one JSON line a cycle. Imports (the Graph SDK above all) are done before the measuring begins.
"""

from __future__ import annotations

import asyncio
import importlib
import sys

from benchmarks.usage import measured, tell
from config.settings import load_settings
from store.database import open_database
from store.records import Connection
from store.tenancy import connections
from worker import metrics
from worker.cycle.run import CycleRequest, run_cycle
from worker.locks.hold import LeaseSettings
from worker.locks.lease import holding
from worker.services import WorkerServices, build_services

LOADED_ON_USE = (
    "msal",
    "msgraph.graph_service_client",
    "worker.graph.read.delta",
    "worker.graph.read.evidence",
    "worker.graph.read.focus",
    "worker.graph.read.snapshot",
    "worker.graph.http.client",
    "worker.graph.http.transport",
)


async def run(reference: str, kind: str = "full") -> None:
    """Runs one cycle; of kind `increments` one for each line of standard input."""
    for module in LOADED_ON_USE:
        importlib.import_module(module)
    settings = load_settings()
    db = await open_database(settings.database_url)
    services = build_services(settings, db)
    async with db.reading() as conn:
        connection = await connections.find(conn, reference)
    assert connection is not None
    lease = LeaseSettings("benchmark", settings.lease_s)
    if kind == "increments":
        while await asyncio.to_thread(sys.stdin.readline):
            await _cycle(services, connection, lease, "incremental")
    else:
        await _cycle(services, connection, lease, kind)
    await db.close()


async def _cycle(services: WorkerServices, connection: Connection, lease: LeaseSettings, kind: str) -> None:
    units = graph_units()
    with measured() as usage:
        async with holding(services.db, services.clock, connection.tenant_id, connection.id, lease) as hold:
            report = await run_cycle(services, connection, hold, CycleRequest(is_full=kind == "full"))
    assert report.status == "applied", report
    assert (report.kind == "incremental") == (kind == "incremental"), report
    tell(usage, **report.counts, changes=sum(report.applied.values()), units=graph_units() - units)
    sys.stdout.flush()


def graph_units() -> float:
    """Gives the resource units that this process's requests to Graph have cost."""
    samples = (sample for family in metrics.GRAPH_UNITS.collect() for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
