"""Read drift reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.admin.actor import Actor
from console.admin.errors import NoDriftReport
from console.admin.references import find_connection
from console.admin.services import Services
from store.directory import receipts
from store.directory.receipts import ACKNOWLEDGED_WITHIN
from store.errors import NotFound
from store.keys import utc_now
from store.records import CycleId, Receipt
from store.sync import drift_reports
from store.sync.drift_reports import DriftReport
from store.tenancy import tenants


@dataclass(frozen=True, slots=True)
class ConnectionDrift:
    """A drift report, and the tenant and connection it is about."""

    tenant: str
    """The slug of the tenant."""
    connection: str
    report: DriftReport
    unacknowledged: Sequence[Receipt] = ()
    """Receipts of now that the vendor's app has not acknowledged for five minutes."""


async def drift_report(
    services: Services, actor: Actor, connection: str, cycle: str | None = None
) -> ConnectionDrift:
    """Return the drift report of a cycle, or the latest one. Raises `NoDriftReport`."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        tenant = await tenants.get(conn, found.tenant_id)
        try:
            place = (conn, found.tenant_id)
            report = await drift_reports.report(*place, found.id, CycleId(cycle) if cycle else None)
            since = utc_now() - ACKNOWLEDGED_WITHIN
            late = await receipts.unacknowledged(*place, since, connection_id=found.id)
        except NotFound as error:
            raise NoDriftReport(str(error)) from None
    return ConnectionDrift(tenant.slug, found.name, report, late)
