"""Read the cycles of a connection, and the drift report of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from console.admin.actor import Actor
from console.admin.errors import NoDriftReport, Noun, UnknownReference
from console.admin.references import connection_names, find_connection
from console.admin.services import Services
from store.directory import receipts
from store.directory.receipts import ACKNOWLEDGED_WITHIN
from store.errors import NotFound
from store.keys import utc_now
from store.records import ConnectionId, Cycle, CycleId, CycleKind, CycleStatus, DriftFinding, Receipt
from store.sync import cycles, drift_reports
from store.sync.drift_reports import DriftReport, FindingPage, FindingQuery
from store.tenancy import tenants


@dataclass(frozen=True, slots=True)
class CycleQuery:
    """Which cycles are wanted; None filters nothing."""

    kind: CycleKind | None = None
    status: CycleStatus | None = None
    before: str | None = None
    """The `next` of the page before."""
    limit: int = 50
    on_demand: bool = True
    """False: only cycles over the whole connection."""

    @property
    def is_filtered(self) -> bool:
        """Return whether cycles can be missing because of this query."""
        return any(each is not None for each in (self.kind, self.status, self.before))


@dataclass(frozen=True, slots=True)
class CyclePage:
    """Cycles, the newest first."""

    cycles: Sequence[Cycle]
    next: CycleId | None
    """The `before` of the next page; None on the last."""
    names: Mapping[ConnectionId, str] | None = None
    """TENANT/NAME of each connection; None where only one was asked for."""


async def list_page(
    services: Services, actor: Actor, connection: str | None, query: CycleQuery | None = None
) -> CyclePage:
    """Return a page of the cycles of a connection, or of all that the actor can see.

    Raises `UnknownReference`.
    """
    query = query or CycleQuery()
    async with services.db.reading() as conn:
        found = None if connection is None else await find_connection(conn, actor, connection)
        names = await connection_names(conn, actor) if found is None else None
        rows = await cycles.page(
            conn,
            found.tenant_id if found else actor.tenant,
            found.id if found else None,
            kind=query.kind,
            status=query.status,
            before=CycleId(query.before) if query.before else None,
            on_demand=query.on_demand,
            limit=query.limit + 1,
        )
    listed = rows[: query.limit]
    return CyclePage(listed, listed[-1].id if len(rows) > query.limit else None, names)


async def get(services: Services, actor: Actor, connection: str, cycle: str) -> Cycle:
    """Return one cycle of a connection. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        try:
            known = await cycles.get(conn, found.tenant_id, CycleId(cycle))
        except NotFound:
            known = None
    if known is None or known.connection_id != found.id:
        raise UnknownReference(Noun.CYCLE, cycle, connection_name=found.name)
    return known


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


async def drift_page(
    services: Services, actor: Actor, connection: str, cycle: str | None, query: FindingQuery
) -> FindingPage:
    """Return a page of the drift report of a cycle, or of the latest, with the numbers
    of the whole. Raises `NoDriftReport`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        try:
            return await drift_reports.page(
                conn, found.tenant_id, found.id, CycleId(cycle) if cycle else None, query
            )
        except NotFound as error:
            raise NoDriftReport(str(error)) from None


async def ongoing_of(
    services: Services, actor: Actor, connection: str, subjects: Collection[str]
) -> Sequence[DriftFinding]:
    """Return what the last report leaves open or holds about accounts or groups, by
    their ids here and in Entra.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        return await drift_reports.ongoing_of(conn, found.tenant_id, found.id, subjects)
