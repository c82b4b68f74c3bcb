"""Read the cycles of a connection."""

from __future__ import annotations

from collections.abc import Sequence

from console.admin.actor import Actor
from console.admin.references import find_connection
from console.admin.services import Services
from store.records import Cycle
from store.sync import cycles

LISTED_CYCLES = 50


async def cycles_of(services: Services, actor: Actor, connection: str) -> Sequence[Cycle]:
    """Return the latest 50 cycles of a connection, the newest first."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        return await cycles.latest(conn, found.tenant_id, found.id, limit=LISTED_CYCLES)
