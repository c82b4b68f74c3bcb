"""Delete connections and tenants: numbers first, then at once and for good.

Accounts, logs and history stay (invariant I8). A deletion that was interrupted leaves
its connections paused, which says how to go on; asked again, it does the rest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.errors import AllTenantsRequired, ConnectionRuns
from console.admin.references import find_connection, find_tenant
from console.admin.services import Services
from store import lifecycle
from store.keys import new_id, utc_now
from store.logs import audit_log
from store.records import (
    Cause,
    Connection,
    ConnectionId,
    DisableUser,
    Origin,
    ReleaseUser,
    Tenant,
    TenantId,
    User,
)
from store.records.connections import PeopleFate
from store.tenancy import connections, deletion
from store.tenancy.deletion import ConnectionCounts
from worker.locks.hold import Hold
from worker.locks.lease import LeaseHeld, for_a_command, holding

BATCH_SIZE = 500
"""Accounts in one transaction, so that pushes of other connections hardly wait."""


@dataclass(frozen=True, slots=True)
class ConnectionEffect:
    """A connection that would be deleted, and what belongs to it."""

    connection: Connection
    counts: ConnectionCounts


@dataclass(frozen=True, slots=True)
class TenantEffect:
    """A tenant that would be deleted, with its connections."""

    tenant: Tenant
    connections: Sequence[ConnectionEffect]


async def connection_effect(
    services: Services, actor: Actor, connection: str, *, most: int | None = None
) -> ConnectionEffect:
    """Return what the deletion of a connection concerns; counting ends at `most`.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        return await _effect(conn, await find_connection(conn, actor, connection), most)


async def tenant_effect(services: Services, actor: Actor, tenant: str) -> TenantEffect:
    """Return what the deletion of a tenant concerns. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        found = await find_tenant(conn, actor, tenant)
        theirs = await connections.list_for(conn, found.id)
        return TenantEffect(found, [await _effect(conn, each) for each in theirs])


@requires("admin:connection:delete", recent=True)
async def delete_connection(
    services: Services, actor: Actor, connection: str, people: PeopleFate
) -> ConnectionEffect:
    """Delete a connection, and return what belonged to it.

    Raises `UnknownReference`, and `ConnectionRuns` while a run works on it: then
    nothing was changed.
    """
    effect = await connection_effect(services, actor, connection)
    async with _held(services, [effect.connection]) as [hold]:
        await _end_people(services, actor, effect.connection, hold, people)
        await services.db.write(partial(_end_connection, actor=actor, effect=effect, people=people))
    return effect


@requires("admin:connection:delete", recent=True)
async def delete_tenant(services: Services, actor: Actor, tenant: str, people: PeopleFate) -> TenantEffect:
    """Delete a tenant with its connections, and return what belonged to it.

    Its audit log stays, under its id. Raises `AllTenantsRequired`, `UnknownReference`,
    and `ConnectionRuns` while a run works on one of its connections: then nothing was
    changed.
    """
    if actor.tenant is not None:
        raise AllTenantsRequired("delete a tenant")
    effect = await tenant_effect(services, actor, tenant)

    async def end(conn: AsyncConnection) -> None:
        for each in effect.connections:
            await _end_connection(conn, actor=actor, effect=each, people=people)
        await deletion.end_tenant(conn, effect.tenant.id)
        found = effect.tenant
        detail = {"people": people.value, "connections": len(effect.connections)}
        await audit_log.record(
            conn, found.id, None, actor.label, "tenant.deleted", found.id, found.slug, detail
        )

    theirs = [each.connection for each in effect.connections]
    async with _held(services, theirs) as holds:
        for each, hold in zip(theirs, holds, strict=True):
            await _end_people(services, actor, each, hold, people)
        await services.db.write(end)
    return effect


async def _effect(conn: AsyncConnection, connection: Connection, most: int | None = None) -> ConnectionEffect:
    of = conn, connection.tenant_id, connection.id
    return ConnectionEffect(connection, await deletion.count(*of, most=most))


@asynccontextmanager
async def _held(services: Services, theirs: Sequence[Connection]) -> AsyncIterator[list[Hold]]:
    """Hold the leases of all the connections, or raise `ConnectionRuns`."""
    settings = replace(for_a_command(services.settings), gives_way=True)
    async with AsyncExitStack() as stack:
        holds = []
        for each in theirs:
            try:
                hold = await stack.enter_async_context(
                    holding(services.db, utc_now, each.tenant_id, each.id, settings)
                )
            except LeaseHeld as busy:
                raise ConnectionRuns(each.name, busy.held.until) from None
            holds.append(hold)
        yield holds


async def _end_people(
    services: Services, actor: Actor, connection: Connection, hold: Hold, people: PeopleFate
) -> None:
    """Stop push and pull, then do to the accounts what was decided, batch by batch."""
    if people is PeopleFate.KEEP:
        return
    await services.db.write(partial(_pause, actor=actor, connection=connection, people=people))
    next_ = deletion.next_active if people is PeopleFate.DISABLE else deletion.next_of_entra
    cause = Cause(Origin.CONSOLE, new_id(), actor.label, hold.fence)
    while accounts := await _next_accounts(services, connection, next_):
        commands = [_command(user, people) for user in accounts]
        await lifecycle.perform(services.db, connection.tenant_id, connection.id, commands, cause)


Next = Callable[[AsyncConnection, TenantId, ConnectionId, int], Awaitable[list[User]]]


async def _next_accounts(services: Services, connection: Connection, next_: Next) -> list[User]:
    async with services.db.reading() as conn:
        return await next_(conn, connection.tenant_id, connection.id, BATCH_SIZE)


def _command(user: User, people: PeopleFate) -> DisableUser | ReleaseUser:
    return DisableUser(user.id) if people is PeopleFate.DISABLE else ReleaseUser(user.id)


async def _pause(conn: AsyncConnection, *, actor: Actor, connection: Connection, people: PeopleFate) -> None:
    reason = f"it is being deleted; to go on: leaver connection delete {connection.id} --people {people}"
    await connections.pause(conn, connection.tenant_id, connection.id, reason)
    await audit.record(conn, actor, connection, "deletion_began", people=people.value)


async def _end_connection(
    conn: AsyncConnection, *, actor: Actor, effect: ConnectionEffect, people: PeopleFate
) -> None:
    found = effect.connection
    await deletion.end_connection(conn, found.tenant_id, found.id, actor=actor.label)
    counts = effect.counts
    await audit.record(
        conn,
        actor,
        found,
        "deleted",
        people=people.value,
        active=counts.active,
        inactive=counts.inactive,
        groups=counts.groups,
        sessions=counts.sessions,
        held_plans=counts.held_plans,
    )
