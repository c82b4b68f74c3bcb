"""Where every connection stands, the worst first, from what the store knows alone.

Nothing is asked of Microsoft Graph: that is the doctor's work.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from console.admin.actor import Actor
from console.admin.connections.overview import list_all
from console.admin.services import Services
from console.documents.connections import connection_state
from console.documents.values import plural, utc_text
from store.keys import utc_now
from store.records import Connection, CycleStatus
from store.tenancy import standings
from store.tenancy.credential_expiry import CredentialState, credential_state
from store.tenancy.standings import Standing
from worker.locks.worker_presence import is_worker_alive

READINGS_MISSED = 2
"""So many full readings that did not come make a connection fail."""


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
