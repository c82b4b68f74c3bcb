"""Operations on tenants, and the audit log."""

from __future__ import annotations

from typing import Annotated

from console.admin import audit, deletion, tenants
from console.api.contract import Caller, Cursor, Limit, Routes
from console.api.schemas import common as common_schemas
from console.api.schemas.tenancy import DeletedTenantAnswer, NewTenantBody, TenantAnswer, TenantPage
from console.documents import connections as documents
from console.documents import logs as log_documents
from console.documents.connections import deleted_tenant
from console.documents.values import JsonDocument
from store.records.connections import PeopleFate

routes = Routes("Tenants")


@routes.add("GET", "/tenants", "admin:connection:read")
async def list_tenants(caller: Caller) -> Annotated[JsonDocument, TenantPage]:
    """List the tenants that the token can see."""
    found = await tenants.list_all(caller.services, caller.actor)
    return caller.page(map(documents.tenant, found))


@routes.add(
    "POST",
    "/tenants",
    "admin:connection:create",
    status=201,
    problems=("operator-required", "name-taken", "invalid-value"),
)
async def create_tenant(caller: Caller, body: NewTenantBody) -> Annotated[JsonDocument, TenantAnswer]:
    """Create a tenant. For operators."""
    return documents.tenant(await tenants.create(caller.services, caller.actor, body.name))


@routes.add(
    "DELETE",
    "/tenants/{tenant}",
    "admin:connection:delete",
    problems=("operator-required", "not-found", "busy"),
)
async def delete_tenant(
    caller: Caller, tenant: str, people: PeopleFate
) -> Annotated[JsonDocument, DeletedTenantAnswer]:
    """Delete a tenant with its connections. For operators.

    `people` says what becomes of the accounts; accounts, logs and history stay.
    """
    effect = await deletion.delete_tenant(caller.services, caller.actor, tenant, people)
    parts = [(each.connection, each.counts) for each in effect.connections]
    return deleted_tenant(effect.tenant, parts, people.value)


@routes.add("GET", "/tenants/{tenant}/audit", "admin:report:read", problems=("not-found",))
async def list_tenant_audit(
    caller: Caller, tenant: str, cursor: Cursor = None, limit: Limit = 50
) -> Annotated[JsonDocument, common_schemas.AuditPageAnswer]:
    """List what was done to a tenant and its connections, the newest first."""
    found = await tenants.audit_page(
        caller.services, caller.actor, tenant, before=caller.number(cursor), limit=limit
    )
    return caller.page(map(log_documents.audit_entry, found.entries), found.next)


@routes.add("GET", "/connections/{connection}/audit", "admin:report:read", problems=("not-found",))
async def list_connection_audit(
    caller: Caller, connection: str, cursor: Cursor = None, limit: Limit = 50
) -> Annotated[JsonDocument, common_schemas.AuditPageAnswer]:
    """List what was done to a connection, its tokens and plans, the newest first."""
    found = await audit.entries(
        caller.services, caller.actor, connection, before=caller.number(cursor), limit=limit
    )
    return caller.page(map(log_documents.audit_entry, found.entries), found.next)
