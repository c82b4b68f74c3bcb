"""Find the record that a reference stands for, within the actor's tenant; check names.

A record of another tenant is answered like one that does not exist, so that an actor
learns nothing about other tenants, not even a name.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor
from console.admin.errors import AmbiguousReference, InvalidName, Noun, ReferenceTooShort, UnknownReference
from store.directory import users
from store.errors import NotFound
from store.records import ApiToken, Connection, ConnectionId, HeldPlan, Tenant, User, UserId
from store.records.connections import MOST_NAME_CHARACTERS
from store.sync import held_plans
from store.tenancy import api_tokens, connections, tenants

FEWEST_ID_CHARACTERS = 8
FEWEST_CHECKSUM_CHARACTERS = 8
"""Fewer could match a plan that the person has never looked at."""


async def visible_tenants(conn: AsyncConnection, actor: Actor) -> list[Tenant]:
    """Return the tenants that the actor can see, by name."""
    return [tenant for tenant in await tenants.list_all(conn) if actor.sees(tenant.id)]


async def visible_connections(conn: AsyncConnection, actor: Actor) -> list[Connection]:
    """Return the connections of every tenant that the actor can see."""
    if actor.tenant is None:
        return await connections.list_all(conn)
    found = await connections.list_for(conn, actor.tenant)
    return [each for each in found if actor.connection in (None, each.id)]


async def connection_names(conn: AsyncConnection, actor: Actor) -> Mapping[ConnectionId, str]:
    """Return the connections that the actor can see as TENANT/NAME."""
    slugs = {tenant.id: tenant.slug for tenant in await visible_tenants(conn, actor)}
    visible = await visible_connections(conn, actor)
    return {each.id: f"{slugs.get(each.tenant_id, each.tenant_id)}/{each.name}" for each in visible}


async def find_tenant(conn: AsyncConnection, actor: Actor, reference: str) -> Tenant:
    """Return the tenant with this slug, name or id. Raises `UnknownReference`."""
    try:
        found = await tenants.find(conn, reference)
    except NotFound:
        found = None
    if found is not None and actor.sees(found.id):
        return found
    slugs = [tenant.slug for tenant in await visible_tenants(conn, actor)]
    raise _unknown(Noun.TENANT, reference, slugs)


async def find_connection(conn: AsyncConnection, actor: Actor, reference: str) -> Connection:
    """Return the connection with this id or name, or of the form TENANT/NAME.

    Raises `UnknownReference`, and `AmbiguousReference` where several have the name.
    """
    if actor.tenant is None:  # an operator: not every connection is read for one address
        by_id = await connections.find_by_id(conn, ConnectionId(reference))
        if by_id is not None:
            return by_id
    owner, slash, name = reference.rpartition("/")
    tenant_id = (await find_tenant(conn, actor, owner)).id if slash else None
    visible = await visible_connections(conn, actor)
    found = [c for c in visible if tenant_id in (None, c.tenant_id) and name in (c.id, c.name)]
    if len(found) > 1:
        raise AmbiguousReference(Noun.CONNECTION, reference, len(found))
    if not found:
        raise _unknown(Noun.CONNECTION, reference, [each.name for each in visible])
    return found[0]


async def lock_connection(conn: AsyncConnection, actor: Actor, reference: str) -> Connection:
    """Return the connection as it is now; other writers of it wait for this
    transaction.

    Raises what `find_connection` raises.
    """
    found = await find_connection(conn, actor, reference)
    return await connections.lock(conn, found.tenant_id, found.id)


async def find_token(
    conn: AsyncConnection, actor: Actor, reference: str, connection: str | None = None
) -> ApiToken:
    """Return the token with this id or name, of one connection or of any that the actor
    can see.

    The first or last 8 characters of the id do, and what is shown of the secret. Of
    several of one name the one that still works is meant, if it is the only one. Raises
    `UnknownReference`, and `AmbiguousReference` where several can be meant.
    """
    visible = await _visible_tokens(conn, actor, connection)
    found = [token for token in visible if _names_token(reference, token)]
    live = [token for token in found if token.revoked_at is None]
    found = live if len(live) == 1 else found
    if len(found) > 1:
        raise AmbiguousReference(Noun.TOKEN, reference, len(found))
    if not found:
        raise _unknown(Noun.TOKEN, reference, [token.name for token in visible])
    return found[0]


async def _visible_tokens(conn: AsyncConnection, actor: Actor, connection: str | None) -> list[ApiToken]:
    if connection is not None:
        found = await find_connection(conn, actor, connection)
        return await api_tokens.list_for(conn, found.tenant_id, found.id)
    return [
        token
        for tenant in await visible_tenants(conn, actor)
        for token in await api_tokens.list_for(conn, tenant.id, actor.connection)
    ]


def _names_token(reference: str, token: ApiToken) -> bool:
    if reference in (token.id, token.name):
        return True
    if len(reference) < FEWEST_ID_CHARACTERS:
        return False
    shown = reference.removesuffix("…").removesuffix("...")
    return token.id.startswith(reference) or token.id.endswith(reference) or shown == token.prefix


async def find_user(conn: AsyncConnection, connection: Connection, reference: str) -> User:
    """Return the user of a connection by userName or id. Raises `UnknownReference`."""
    by_name = await users.find_by_user_name(conn, connection.tenant_id, connection.id, reference)
    if by_name is not None:
        return by_name
    try:
        return await users.get(conn, connection.tenant_id, UserId(reference), connection_id=connection.id)
    except NotFound:
        raise UnknownReference(Noun.USER, reference, connection_name=connection.name) from None


async def find_plan(conn: AsyncConnection, actor: Actor, reference: str) -> HeldPlan:
    """Return the held plan by its id, its checksum, or the beginning of the checksum.

    Raises `ReferenceTooShort` below 8 characters, and `UnknownReference`.
    """
    if len(reference) < FEWEST_CHECKSUM_CHARACTERS:
        raise ReferenceTooShort(Noun.PLAN, reference, FEWEST_CHECKSUM_CHARACTERS)
    try:
        return await held_plans.find(conn, reference.lower(), actor.tenant)
    except NotFound:
        raise UnknownReference(Noun.PLAN, reference) from None


def _unknown(noun: Noun, reference: str, known: Iterable[str]) -> UnknownReference:
    names = sorted(set(known))
    near = difflib.get_close_matches(reference, names, n=3)
    return UnknownReference(noun, reference, tuple(near), tuple(names))


def check_name(noun: Noun, name: str) -> str:
    """Return the name without spaces at its ends.

    Raises `InvalidName` unless it is 1 to 100 printable characters without `/`, which
    stands between a tenant and a connection (`fabrikam/entra`).
    """
    trimmed = name.strip()
    if not 0 < len(trimmed) <= MOST_NAME_CHARACTERS or not trimmed.isprintable() or "/" in trimmed:
        raise InvalidName(noun, name)
    return trimmed
