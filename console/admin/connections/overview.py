"""List and show connections, and find the one that a page is about."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from console.admin.actor import Actor
from console.admin.errors import Noun, UnknownReference
from console.admin.references import (
    connection_names,
    find_connection,
    find_tenant,
    visible_connections,
    visible_tenants,
)
from console.admin.services import Services
from console.documents.connections import connection_state
from store.records import ApiToken, Connection, ConnectionId, Cycle, Tenant, TenantId
from store.sync import cycles, held_plans
from store.sync.cycles import Progress
from store.tenancy import api_tokens, connections, tenants


@dataclass(frozen=True, slots=True)
class ConnectionList:
    """Connections, and the slugs of their tenants."""

    connections: Sequence[Connection]
    slugs: Mapping[TenantId, str]


@dataclass(frozen=True, slots=True)
class ConnectionDetails:
    """A connection with its tokens, and the cycle that runs now."""

    connection: Connection
    tokens: Sequence[ApiToken] = ()
    running: tuple[Cycle, Progress | None] | None = None


async def names(services: Services, actor: Actor) -> Mapping[ConnectionId, str]:
    """Return every connection that the actor can see as TENANT/NAME."""
    async with services.db.reading() as conn:
        return await connection_names(conn, actor)


async def list_all(
    services: Services, actor: Actor, tenant: str | None = None, states: Collection[str] = ()
) -> ConnectionList:
    """Return the connections that the actor can see, or those of one tenant; in some
    states, if any are named.
    """
    async with services.db.reading() as conn:
        slugs = {known.id: known.slug for known in await visible_tenants(conn, actor)}
        if tenant is None:
            found = await visible_connections(conn, actor)
        else:
            owner = await find_tenant(conn, actor, tenant)
            found = await connections.list_for(conn, owner.id)
    if states:
        found = [each for each in found if connection_state(each) in states]
    return ConnectionList(found, slugs)


async def show(services: Services, actor: Actor, connection: str) -> ConnectionDetails:
    """Return a connection with its tokens and the cycle that runs now.

    Never a secret.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        return ConnectionDetails(
            found,
            await api_tokens.list_for(conn, found.tenant_id, found.id),
            await cycles.running(conn, found.tenant_id, found.id),
        )


@dataclass(frozen=True, slots=True)
class ConnectionPlace:
    """A connection, its tenant, and how many plans wait there for a decision."""

    tenant: Tenant
    connection: Connection
    waiting_plans: int


async def find(services: Services, actor: Actor, connection_id: str) -> ConnectionPlace:
    """Return the connection with this id, never by a name: an address stays good.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection_id)
        if found.id != connection_id:
            raise UnknownReference(Noun.CONNECTION, connection_id)
        tenant = await tenants.get(conn, found.tenant_id)
        waiting = await held_plans.count_waiting(conn, found.tenant_id, found.id)
    return ConnectionPlace(tenant, found, waiting)
