"""Reading what cycles found and what was attempted: drift reports and the provisioning log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from console.admin import references
from console.admin.services import Services
from console.errors import CommandError, WrongUse
from store.errors import NotFound
from store.logs import provisioning_log
from store.logs.provisioning_log import LogPage
from store.records import Cycle, CycleId, LogStatus
from store.sync import cycles, drift_reports
from store.sync.drift_reports import DriftReport

LISTED_CYCLES = 50


async def cycles_of(services: Services, connection_reference: str) -> Sequence[Cycle]:
    """Gives the latest cycles of a connection, the newest first."""
    async with services.db.reading() as conn:
        found = await references.connection(conn, connection_reference)
        return await cycles.latest(conn, found.tenant_id, found.id, limit=LISTED_CYCLES)


async def report(services: Services, connection_reference: str, cycle: str | None) -> DriftReport:
    """Gives the drift report of a cycle, or the latest; raises `WrongUse` where there is none."""
    async with services.db.reading() as conn:
        found = await references.connection(conn, connection_reference)
        try:
            return await drift_reports.report(
                conn, found.tenant_id, found.id, CycleId(cycle) if cycle else None
            )
        except NotFound as error:
            raise WrongUse("no drift report", str(error), "See: leaver drift list CONNECTION") from None


async def log(
    services: Services,
    connection_reference: str,
    user: str | None,
    status: LogStatus | None,
    limit: int,
    before: int | None,
    correlation: str | None = None,
) -> LogPage:
    """Gives a page of the provisioning log, the newest first."""
    async with services.db.reading() as conn:
        found = await references.connection(conn, connection_reference)
        return await provisioning_log.search(
            conn,
            found.tenant_id,
            found.id,
            user=user,
            status=status,
            cycle_id=correlation,
            before=before,
            limit=limit,
        )


def write(text: str, file: Path) -> None:
    """Writes a rendered report; raises `CommandError` where the file cannot be written."""
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise CommandError(
            f"cannot write {file}", error.strerror or str(error), "Choose another file with --output"
        ) from error
