"""Where every connection stands, the worst first, from what the store knows alone.

Nothing is asked of Microsoft Graph: that is the doctor's work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor
from console.admin.connections.overview import list_all
from console.admin.services import Services
from console.documents.connections import connection_state
from console.documents.values import plural, utc_text
from store.keys import utc_now
from store.records import Connection, CycleStatus
from store.records.connections import READINGS_MISSED
from store.tenancy import connections, standings, urgency
from store.tenancy.credential_expiry import CredentialState, credential_state
from store.tenancy.standings import Standing
from store.tenancy.urgency import BusyHolder, RankFilter
from worker.locks.worker_presence import is_worker_alive


class Level(IntEnum):
    """How urgent it is, in rising order."""

    OK = 0
    WARNING = 1
    """Something waits for a person, or will have to be done soon."""
    FAILED = 2
    """No leaver is found, or no push comes through, until a person acts."""


@dataclass(frozen=True, slots=True)
class Concern:
    """One reason why a connection wants a look, as a sentence."""

    level: Level
    sentence: str


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """A connection in short."""

    tenant: str
    """The slug of the tenant."""
    connection: Connection
    standing: Standing
    concerns: tuple[Concern, ...]
    """The worst first."""

    @property
    def level(self) -> Level:
        """Return the level of the worst concern."""
        return max((concern.level for concern in self.concerns), default=Level.OK)


@dataclass(frozen=True, slots=True)
class InstallationStatus:
    """All connections, the worst first, and whether a worker runs."""

    connections: Sequence[ConnectionStatus]
    at: datetime
    has_worker: bool

    @property
    def level(self) -> Level:
        """Return how urgent the worst of it is. Without a worker nothing is found."""
        worst = max((each.level for each in self.connections), default=Level.OK)
        return worst if self.has_worker or not self.connections else max(worst, Level.WARNING)


async def status(
    services: Services,
    actor: Actor,
    tenant: str | None = None,
    states: Collection[str] = (),
) -> InstallationStatus:
    """Return the connections that the actor can see, or those in some states.

    Raises `UnknownReference` for the tenant.
    """
    found = await list_all(services, actor, tenant)
    async with services.db.reading() as conn:
        known = await standings.load(conn, actor.tenant)
    now = utc_now()
    listed = [
        status_of(found.slugs.get(each.tenant_id, each.tenant_id), each, known.get(each.id, Standing()), now)
        for each in found.connections
        if not states or connection_state(each) in states
    ]
    listed.sort(key=lambda each: (-each.level, -len(each.concerns), each.tenant, each.connection.name))
    return InstallationStatus(listed, now, await is_worker_alive(services.settings.database_url))


@dataclass(frozen=True, slots=True)
class Workload:
    """What workers do and what waits for them, over all tenants."""

    busy: Sequence[BusyHolder]
    due: int
    """Connections whose cycle is due and has not begun."""
    oldest_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class UrgentConnections:
    """A page of connections, the worst first."""

    connections: Sequence[ConnectionStatus]
    counts: Mapping[Level, int]
    """Of all connections that the actor can see, not of the page alone."""
    at: datetime
    has_worker: bool
    workload: Workload | None
    """For an operator of all tenants."""
    has_more: bool


async def urgent(
    services: Services,
    actor: Actor,
    *,
    level: Level | None = None,
    name: str | None = None,
    skip: int = 0,
    limit: int = 100,
) -> UrgentConnections:
    """Return a page of the connections that the actor can see, the worst first; those
    of one level, or with a part of a name in TENANT/NAME.
    """
    now = utc_now()
    wanted = RankFilter(None if level is None else int(level), name, actor.connection)
    async with services.db.reading() as conn:
        page = await urgency.ranked(conn, actor.tenant, now, wanted, skip=skip, limit=limit)
        ids = [each.id for each in page.ranked]
        found = {each.id: each for each in await connections.list_some(conn, ids)}
        known = await standings.load(conn, actor.tenant, ids)
        load = await _workload(conn, now) if actor.tenant is None else None
    listed = [
        status_of(each.tenant, found[each.id], known.get(each.id, Standing()), now)
        for each in page.ranked
        if each.id in found
    ]
    has_worker = await is_worker_alive(services.settings.database_url)
    counts = {each: page.counts.get(int(each), 0) for each in Level}
    return UrgentConnections(listed, counts, now, has_worker, load, page.has_more)


async def _workload(conn: AsyncConnection, now: datetime) -> Workload:
    due = await urgency.due(conn, now)
    return Workload(await urgency.busy_holders(conn, now), due.number, due.oldest_at)


def status_of(tenant: str, connection: Connection, standing: Standing, now: datetime) -> ConnectionStatus:
    """Return a connection in short, with its concerns, the worst first."""
    concerns = sorted(_concerns(connection, standing, now), key=lambda each: -each.level)
    return ConnectionStatus(tenant, connection, standing, tuple(concerns))


def _concerns(connection: Connection, standing: Standing, now: datetime) -> Iterator[Concern]:
    yield from _of_state(connection)
    yield from _of_credential(connection, now)
    if connection.paused_at is None and connection.has_credential:
        yield from _of_readings(connection, standing, now)
    if standing.braked_at:
        since = utc_text(standing.braked_at)
        yield Concern(Level.FAILED, f"A brake has held back removals by push since {since}.")
    if standing.held_plans:
        plans = plural(standing.held_plans, "held plan waits", "held plans wait")
        yield Concern(Level.WARNING, f"{plans} ({plural(standing.held_rows, 'row')}).")
    if number := (standing.findings or {}).get("open", 0):
        open_drift = plural(number, "finding of drift is", "findings of drift are")
        yield Concern(Level.WARNING, f"{open_drift} open.")


def _of_state(connection: Connection) -> Iterator[Concern]:
    if connection.paused_at:
        since = utc_text(connection.paused_at)
        yield Concern(Level.WARNING, f"Paused since {since}: {_sentence(connection.paused_reason)}")
    elif connection.quarantined_at:
        since = utc_text(connection.quarantined_at)
        yield Concern(Level.FAILED, f"In quarantine since {since}: {_sentence(connection.quarantine_reason)}")
    elif connection.is_never_complete:
        number = connection.consecutive_incomplete
        why = _sentence(connection.incomplete_reason)
        yield Concern(Level.FAILED, f"{number} incomplete cycles in a row: {why}")


def _of_credential(connection: Connection, now: datetime) -> Iterator[Concern]:
    state, ends = credential_state(connection, now), connection.credential_expires_at
    if state is CredentialState.MISSING:
        yield Concern(Level.WARNING, "No Graph credential: the pull cannot run.")
    elif state is CredentialState.EXPIRED:
        yield Concern(Level.FAILED, f"The credential expired {utc_text(ends)}.")
    elif state.is_warning:
        yield Concern(Level.WARNING, f"The credential ends {utc_text(ends)}.")


def _of_readings(connection: Connection, standing: Standing, now: datetime) -> Iterator[Concern]:
    last = standing.last
    if last is None:
        yield Concern(Level.WARNING, "No cycle has run yet.")
        return
    if last.status is CycleStatus.FAILED and not connection.quarantined_at:
        yield Concern(Level.FAILED, f"The last cycle failed: {_sentence(last.error)}")
    since = connection.last_complete_at or connection.created_at
    if now - since > READINGS_MISSED * timedelta(hours=connection.policy.full_every_hours):
        at = utc_text(connection.last_complete_at) or "never"
        yield Concern(Level.FAILED, f"No complete reading for long; the last: {at}.")


def _sentence(text: str | None) -> str:
    text = (text or "no reason was given").strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
