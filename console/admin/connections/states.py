"""Switch the mode of a connection, pause it and resume it."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.references import find_connection
from console.admin.services import Services
from store.keys import utc_now
from store.records import Connection, Mode
from store.tenancy import connection_health, connections


@requires("admin:sync:approve", recent=True)
async def set_mode(services: Services, actor: Actor, connection: str, mode: Mode) -> Connection:
    """Switch a connection between report and enforce."""

    async def work(conn: AsyncConnection) -> Connection:
        found = await find_connection(conn, actor, connection)
        await audit.record(conn, actor, found, "mode_changed", before=found.policy.mode, after=mode)
        return await connections.set_policy(conn, found.tenant_id, found.id, replace(found.policy, mode=mode))

    return await services.db.write(work)


@requires("admin:connection:update")
async def pause(services: Services, actor: Actor, connection: str, reason: str) -> Connection:
    """Stop push and pull of a connection until it is resumed."""

    async def work(conn: AsyncConnection) -> Connection:
        found = await find_connection(conn, actor, connection)
        await audit.record(conn, actor, found, "paused", reason=reason)
        return await connections.pause(conn, found.tenant_id, found.id, reason)

    return await services.db.write(work)


@requires("admin:connection:update")
async def resume(services: Services, actor: Actor, connection: str) -> Connection:
    """End a pause or a quarantine; the next cycle is due at once."""

    async def work(conn: AsyncConnection) -> Connection:
        found = await find_connection(conn, actor, connection)
        await audit.record(conn, actor, found, "resumed")
        resumed = await connections.resume(conn, found.tenant_id, found.id)
        await connection_health.tell(conn, found, resumed, utc_now())
        return resumed

    return await services.db.write(work)
