"""The audit log: read it, and write an entry about a connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor
from console.admin.references import find_connection
from console.admin.services import Services
from store.logs import audit_log
from store.records import AuditEntry, Connection, JsonValue


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries of the audit log, the newest first."""

    entries: Sequence[AuditEntry]
    next: int | None
    """The `before` of the next page; None on the last page."""


async def entries(
    services: Services, actor: Actor, connection: str, *, before: int | None = None, limit: int = 50
) -> AuditPage:
    """Return a page of what was done to a connection, its tokens and its held plans."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        page = await audit_log.search(conn, found.tenant_id, found.id, before=before, limit=limit)
    return AuditPage(page, page[-1].id if len(page) == limit else None)


async def record(
    conn: AsyncConnection, actor: Actor, connection: Connection, deed: str, **detail: JsonValue
) -> None:
    """Write an entry about a connection, in the transaction that changes it.

    `detail` holds no secret and no personal data.
    """
    await audit_log.record(
        conn,
        connection.tenant_id,
        connection.id,
        actor.label,
        f"connection.{deed}",
        connection.id,
        connection.name,
        detail,
    )
