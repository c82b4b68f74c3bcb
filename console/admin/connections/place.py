"""Show in which tenant and connection a page is."""

from __future__ import annotations

from dataclasses import dataclass

from console.admin.actor import Actor
from console.admin.errors import Noun, UnknownReference
from console.admin.references import find_connection
from console.admin.services import Services
from store.records import Connection, Tenant
from store.sync import held_plans
from store.tenancy import tenants


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
