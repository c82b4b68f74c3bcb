"""Invite, list and remove operators, who enter the console by a one-time link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, requires
from console.admin.errors import AllTenantsRequired, InvalidPolicy, NameTaken, Noun, UnknownReference
from console.admin.references import check_name, find_tenant, visible_tenants
from console.admin.services import Services
from store.access import links, operators
from store.access.links import LinkTarget
from store.access.records import AccessLink, ConsoleOperator, LinkKind, Role
from store.logs import audit_log
from store.records import TenantId


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that signs an operator in once, with its secret."""

    operator: ConsoleOperator
    link: AccessLink
    secret: str


@dataclass(frozen=True, slots=True)
class OperatorList:
    """Operators, and the slugs of the tenants that some are limited to."""

    operators: Sequence[ConsoleOperator]
    slugs: Mapping[TenantId, str]


@requires("admin:operator:create", recent=True)
async def invite(
    services: Services,
    actor: Actor,
    name: str,
    role: Role | None = None,
    tenant: str | None = None,
) -> Invitation:
    """Make a link that signs a person in once, within 15 minutes.

    An operator of this name gets another link. Without a tenant the role holds over all
    of them. Raises `AllTenantsRequired`, `InvalidName`, `UnknownReference`, and
    `NameTaken` where an operator of this name has another role or tenant;
    `InvalidPolicy` for the role of setup links, which no operator has.
    """
    _require_all_tenants(actor)
    if role is Role.SETUP:
        raise InvalidPolicy("role", "a setup link gives it, for one connection: leaver setup link")
    name = check_name(Noun.OPERATOR, name)

    async def work(conn: AsyncConnection) -> Invitation:
        owner = None if tenant is None else (await find_tenant(conn, actor, tenant)).id
        found = await operators.find(conn, name)
        if found is None:
            wanted = role or (Role.OPERATOR if owner is None else Role.ADMIN)
            found = await operators.create(conn, owner, name, wanted, actor=actor.label)
        elif (role or found.role, owner or found.tenant_id) != (found.role, found.tenant_id):
            raise NameTaken(Noun.OPERATOR, name)
        target = LinkTarget(LinkKind.SIGN_IN, operator_id=found.id)
        link, secret = await links.create(conn, found.tenant_id, target, actor=actor.label)
        await _record(conn, actor, found, "invited")
        return Invitation(found, link, secret)

    return await services.db.write(work)


@requires("admin:operator:read")
async def list_all(services: Services, actor: Actor) -> OperatorList:
    """Return the operators by name. Raises `AllTenantsRequired`."""
    _require_all_tenants(actor)
    async with services.db.reading() as conn:
        slugs = {each.id: each.slug for each in await visible_tenants(conn, actor)}
        return OperatorList(await operators.list_all(conn), slugs)


@requires("admin:operator:revoke", recent=True)
async def remove(services: Services, actor: Actor, operator: str) -> ConsoleOperator:
    """End the access of an operator at once, with every session.

    Raises `AllTenantsRequired`, `UnknownReference`.
    """
    _require_all_tenants(actor)

    async def work(conn: AsyncConnection) -> ConsoleOperator:
        found = await operators.find(conn, operator)
        if found is None:
            known = tuple(each.name for each in await operators.list_all(conn))
            raise UnknownReference(Noun.OPERATOR, operator, known=known)
        await operators.remove(conn, found)
        await _record(conn, actor, found, "removed")
        return found

    return await services.db.write(work)


async def _record(conn: AsyncConnection, actor: Actor, operator: ConsoleOperator, deed: str) -> None:
    await audit_log.record(
        conn,
        operator.tenant_id or audit_log.INSTALLATION,
        None,
        actor.label,
        f"operator.{deed}",
        operator.id,
        operator.name,
        {"role": operator.role.value},
    )


def _require_all_tenants(actor: Actor) -> None:
    if actor.tenant is not None:
        raise AllTenantsRequired("see or change operators")
