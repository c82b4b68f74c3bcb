"""Switch the mode of a connection, pause and resume it, and release the brakes on its
removals by push.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.connections.errors import NotBraked
from console.admin.connections.policy import check_number
from console.admin.references import find_connection
from console.admin.services import Services
from store.keys import utc_now
from store.lifecycle import access_guards
from store.lifecycle.access_guards import WINDOW
from store.records import Connection, Mode, PushRemoval
from store.tenancy import connection_health, connections, push_brakes
from store.tenancy.push_brakes import PushBrake


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
        actor.require_setting_up(found)
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


@dataclass(frozen=True, slots=True)
class BrakeDetails:
    """The brakes of a connection that hold, and what the push took away."""

    connection: Connection
    braked: Sequence[PushBrake]
    removed: Mapping[PushRemoval, int] = field(default_factory=dict)
    """Within the window before the first brake was put on, or before now."""
    released_until: datetime | None = None
    """After a release for a time: when removals are counted again."""


async def show_brakes(services: Services, actor: Actor, connection: str) -> BrakeDetails:
    """Return the brakes of a connection that hold. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        return await _brakes(conn, await find_connection(conn, actor, connection))


@requires("admin:sync:approve", recent=True)
async def release_brakes(
    services: Services, actor: Actor, connection: str, *, for_minutes: int | None = None
) -> BrakeDetails:
    """Release the brakes, and let the push remove without them for so many minutes.

    Returns them as they were before. Raises `UnknownReference`, `ValueOutOfRange`, and
    `NotBraked` where there is nothing to release and no time was given.
    """
    check_number("brake_release_minutes", for_minutes)

    async def work(conn: AsyncConnection) -> BrakeDetails:
        found = await find_connection(conn, actor, connection)
        before = await _brakes(conn, found)
        if not before.braked and for_minutes is None:
            raise NotBraked(found.name)
        until = await push_brakes.release(conn, found.tenant_id, found.id, for_minutes=for_minutes or 0)
        await audit.record(
            conn,
            actor,
            found,
            "push_brake_released",
            kinds=[brake.kind for brake in before.braked],
            refused=sum(brake.refused for brake in before.braked),
            for_minutes=for_minutes,
        )
        return replace(before, released_until=until if for_minutes else None)

    return await services.db.write(work)


async def _brakes(conn: AsyncConnection, found: Connection) -> BrakeDetails:
    brakes = await push_brakes.load(conn, found.tenant_id, found.id)
    braked_at = [brake.braked_at for brake in brakes if brake.braked_at]
    since = min(braked_at, default=utc_now()) - WINDOW
    removed = await access_guards.removed_since(conn, found.tenant_id, found.id, since)
    return BrakeDetails(found, [brake for brake in brakes if brake.braked_at], removed)
