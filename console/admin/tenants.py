"""Create and list tenants."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, requires
from console.admin.audit import AuditPage
from console.admin.errors import AllTenantsRequired, NameTaken, Noun
from console.admin.references import check_name, find_tenant, visible_tenants
from console.admin.services import Services
from store.errors import UniquenessConflict
from store.logs import audit_log
from store.records import Tenant
from store.tenancy import tenants


@requires("admin:connection:create")
async def create(services: Services, actor: Actor, name: str, slug: str | None = None) -> Tenant:
    """Create a tenant; without `slug` it is made from the name.

    Raises `AllTenantsRequired`, `InvalidName`, `NameTaken`, and `InvalidRecord` for a
    slug that cannot be, and where the name gives none.
    """
    if actor.tenant is not None:
        raise AllTenantsRequired("create a tenant")
    name = check_name(Noun.TENANT, name)

    async def work(conn: AsyncConnection) -> Tenant:
        made = await tenants.create(conn, name, slug=slug)
        await audit_log.record(conn, made.id, None, actor.label, "tenant.created", made.id, made.slug)
        return made

    try:
        return await services.db.write(work)
    except UniquenessConflict:
        raise NameTaken(Noun.TENANT, name) from None


async def show(services: Services, actor: Actor, tenant: str) -> Tenant:
    """Return one tenant. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        return await find_tenant(conn, actor, tenant)


async def audit_page(
    services: Services, actor: Actor, tenant: str, *, before: int | None = None, limit: int = 50
) -> AuditPage:
    """Return a page of all that was done to a tenant and its connections.

    A deleted tenant is found by its id. Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        deleted = await tenants.find_deleted(conn, tenant)
        is_known = deleted is not None and actor.sees(deleted.id)
        found = deleted if deleted and is_known else await find_tenant(conn, actor, tenant)
        page = await audit_log.search(conn, found.id, before=before, limit=limit)
    return AuditPage(page, page[-1].id if len(page) == limit else None)


async def list_all(services: Services, actor: Actor) -> Sequence[Tenant]:
    """Return the tenants that the actor can see, by name."""
    async with services.db.reading() as conn:
        return await visible_tenants(conn, actor)
