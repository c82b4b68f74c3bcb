"""Read the provisioning log."""

from __future__ import annotations

from dataclasses import dataclass

from console.admin.actor import Actor
from console.admin.references import find_connection
from console.admin.services import Services
from store.logs import provisioning_log
from store.logs.provisioning_log import LogPage
from store.records import LogStatus


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which entries of the provisioning log are wanted; None filters nothing."""

    user: str | None = None
    """The userName, displayName or id of a user or group."""
    status: LogStatus | None = None
    correlation: str | None = None
    """Entra's ActivityId, an X-Request-Id, or the id of a cycle."""
    before: int | None = None
    """The `next` of the page before."""
    limit: int = 50

    @property
    def is_filtered(self) -> bool:
        """Return whether entries can be missing because of this query."""
        return any(each is not None for each in (self.user, self.status, self.correlation, self.before))


async def log(services: Services, actor: Actor, connection: str, query: LogQuery | None = None) -> LogPage:
    """Return a page of the provisioning log of a connection, the newest entry first."""
    query = query or LogQuery()
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        return await provisioning_log.search(
            conn,
            found.tenant_id,
            found.id,
            user=query.user,
            status=query.status,
            cycle_id=query.correlation,
            before=query.before,
            limit=query.limit,
        )
