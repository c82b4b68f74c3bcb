"""`leaver sync` and `leaver provision`: handed to a running worker and watched, or done in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from console.admin import references
from console.admin.services import Services
from console.cli.output import complain
from console.cli.progress_bar import watching
from store.errors import NotFound
from store.records import Connection, Cycle, CycleId, CycleKind, FindingState, Lease
from store.sync import cycles, drift_reports
from worker.cycle.run import CycleRequest
from worker.jobs import dispatch
from worker.locks.lease import COMMAND, LeaseHeld, held_lease
from worker.locks.worker_presence import is_worker_alive
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
    await _tell_of_a_holder(services, connection, goes_first=False)
    with watching(f"{connection.name}: waiting for the cycle to begin") as watch:
        report = await dispatch.sync(
            build_services(services.settings, services.db), connection, CycleRequest(full, dry_run), watch
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
    await _tell_of_a_holder(services, connection, goes_first=True)
    with watching(f"{connection.name}: provisioning on demand") as watch:
        reports = await dispatch.provision_each(
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


async def _tell_of_a_holder(services: Services, connection: Connection, *, goes_first: bool) -> None:
    """Says for whom this command will wait, and since when they work: on demand goes first, but not at once."""
    held = await held_lease(services.db, datetime.now(UTC), connection.tenant_id, connection.id)
    if held is None:
        return
    async with services.db.reading() as conn:
        running = await cycles.latest(conn, connection.tenant_id, connection.id, limit=1, finished=False)
    complain(f"waiting. {_who_works(held, running[0] if running else None, goes_first=goes_first)}")


def _who_works(held: Lease, running: Cycle | None, *, goes_first: bool) -> str:
    """A worker gives way by itself; a command that was killed keeps its lease for a while."""
    who, _, number = held.holder.partition(":")
    work = f"{running.kind.replace('_', '-')} cycle" if running else "run"
    since = f" since {running.started_at:%H:%M:%S} UTC" if running else ""
    if who == COMMAND:
        return f"The {work} of another command has gone on{since}. {LeaseHeld(held)}"
    is_cycle = running is not None and running.kind is not CycleKind.ON_DEMAND
    turn = "it gives way at its next safe point" if goes_first and is_cycle else "this command comes after it"
    return f"The {work} of {who} {number} has gone on{since}; {turn}."


async def _remaining(services: Services, connection: Connection, cycle_id: CycleId) -> int:
    async with services.db.reading() as conn:
        try:
            report = await drift_reports.report(conn, connection.tenant_id, connection.id, cycle_id)
        except NotFound:
            return 0
    return sum(finding.state in REMAINING for finding in report.findings)
