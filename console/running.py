"""`leaver sync` and `leaver provision`: handed to a running worker and watched, or done in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from console import references
from console.output import complain
from console.services import Services
from console.watching import watching
from store import drift
from store.errors import NotFound
from store.records import Connection, CycleId, FindingState
from worker import handing_over
from worker.cycle import Wish
from worker.leasing import COMMAND, Busy, held_lease
from worker.liveness import is_worker_alive
from worker.services import build_services

REMAINING = frozenset({FindingState.OPEN, FindingState.HELD})


@dataclass(frozen=True, slots=True)
class Finished:
    """A cycle's report as JSON (design.md §6), and how many findings wait for somebody."""

    result: Mapping[str, Any]
    remaining: int


async def sync(services: Services, reference: str, *, full: bool, dry_run: bool) -> Finished:
    """Runs a cycle to its end; raises `WrongUse`, and `WorkerError` where it could not begin."""
    connection = await _connection(services, reference)
    await _tell_of_a_holder(services, connection)
    with watching(f"{connection.name}: waiting for the cycle to begin") as watch:
        report = await handing_over.sync(
            build_services(services.settings, services.db), connection, Wish(full, dry_run), watch
        )
    return Finished(report.to_json(), await _remaining(services, connection, report.cycle_id))


@dataclass(frozen=True, slots=True)
class Provisioning:
    """What `leaver provision` was asked for."""

    subjects: Sequence[str]
    is_dry_run: bool
    asks_entra: bool


async def provision(services: Services, reference: str, wish: Provisioning) -> list[Mapping[str, Any]]:
    """Provisions every subject and gives the reports as JSON; raises `WrongUse`, `WorkerError`."""
    connection = await _connection(services, reference)
    await _tell_of_a_holder(services, connection)
    with watching(f"{connection.name}: provisioning on demand") as watch:
        reports = await handing_over.provision_each(
            build_services(services.settings, services.db),
            connection,
            wish.subjects,
            is_dry_run=wish.is_dry_run,
            asks_entra=wish.asks_entra,
            watch=watch,
        )
    return [report.to_json() for report in reports]


async def _connection(services: Services, reference: str) -> Connection:
    async with services.db.reading() as conn:
        connection = await references.connection(conn, reference)
    if not await is_worker_alive(services.settings.database_url):
        services.sealer()  # done here it takes the key: say so before anything begins
    return connection


async def _tell_of_a_holder(services: Services, connection: Connection) -> None:
    """Says why this command will wait, and until when: a command that was killed keeps its lease for a while."""
    held = await held_lease(services.db, datetime.now(UTC), connection.tenant_id, connection.id)
    if held is not None and held.holder.startswith(f"{COMMAND}:"):
        complain(f"waiting. {Busy(held)}")


async def _remaining(services: Services, connection: Connection, cycle_id: CycleId) -> int:
    async with services.db.reading() as conn:
        try:
            report = await drift.report(conn, connection.tenant_id, connection.id, cycle_id)
        except NotFound:
            return 0
    return sum(finding.state in REMAINING for finding in report.findings)
