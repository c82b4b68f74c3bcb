"""From what a person types to the row that is meant; an unknown word is answered with the nearest known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from console.errors import WrongUse
from store.directory import users
from store.errors import NotFound
from store.records import ApiToken, Connection, HeldPlan, Tenant, User, UserId
from store.sync import held_plans
from store.tenancy import api_tokens, connections, tenants

FEWEST_CHECKSUM_CHARACTERS = 8
SHOWN_NAMES = 5


async def tenant(conn: AsyncConnection, reference: str) -> Tenant:
    """Gives the tenant by slug, name or id; raises `WrongUse`."""
    try:
        return await tenants.find(conn, reference)
    except NotFound:
        known = [tenant.slug for tenant in await tenants.list_all(conn)]
        raise _unknown(
            "tenant", reference, known, "leaver tenant create NAME", "leaver tenant list"
        ) from None


async def connection(conn: AsyncConnection, reference: str) -> Connection:
    """Gives the connection by id, by name, or by TENANT/NAME; raises `WrongUse`."""
    owner, slash, name = reference.rpartition("/")
    tenant_id = (await tenant(conn, owner)).id if slash else None
    everything = await connections.list_all(conn)
    found = [c for c in everything if tenant_id in (None, c.tenant_id) and name in (c.id, c.name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise WrongUse(
            f"connection {reference!r}",
            f"{len(found)} connections have this name",
            "Say which by TENANT/NAME or by id: leaver connection list",
        )
    known = [c.name for c in everything]
    raise _unknown(
        "connection",
        reference,
        known,
        "leaver connection create TENANT --name entra",
        "leaver connection list",
    )


async def token(conn: AsyncConnection, reference: str) -> ApiToken:
    """Gives the token by id or by name, of whatever connection; raises `WrongUse`."""
    found = [
        token
        for connection in await connections.list_all(conn)
        for token in await api_tokens.list_for(conn, connection.tenant_id, connection.id)
        if reference in (token.id, token.name)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise WrongUse(
            f"token {reference!r}",
            f"{len(found)} tokens have this name",
            "Name it by its id: leaver token list CONNECTION",
        )
    raise WrongUse(
        f"no token {reference!r}",
        "no connection has one of this name or id",
        "See: leaver token list CONNECTION",
    )


async def user(conn: AsyncConnection, connection: Connection, reference: str) -> User:
    """Gives the user of a connection by userName or id; raises `WrongUse`."""
    by_name = await users.find_by_user_name(conn, connection.tenant_id, connection.id, reference)
    if by_name is not None:
        return by_name
    try:
        return await users.get(conn, connection.tenant_id, UserId(reference), connection_id=connection.id)
    except NotFound:
        why = f"connection {connection.name} has nobody of this userName or id"
        raise WrongUse(f"no user {reference!r}", why, "See: leaver log CONNECTION --user NAME") from None


async def plan(conn: AsyncConnection, reference: str) -> HeldPlan:
    """Gives the plan by its checksum, the beginning of it, or its id; raises `WrongUse`."""
    if len(reference) < FEWEST_CHECKSUM_CHARACTERS:
        why = f"a checksum is known by its first {FEWEST_CHECKSUM_CHARACTERS} characters or more"
        raise WrongUse(f"plan {reference!r}", why, "See: leaver plan list")
    try:
        return await held_plans.find(conn, reference.lower())
    except NotFound:
        why = "no plan has this checksum or id"
        raise WrongUse(f"no plan {reference!r}", why, "See: leaver plan list") from None


def _unknown(noun: str, reference: str, known: Sequence[str], to_create: str, to_list: str) -> WrongUse:
    if not known:
        return WrongUse(f"no {noun} {reference!r}", f"there are no {noun}s yet", f"Make one: {to_create}")
    near = difflib.get_close_matches(reference, known, n=1)
    meant = f"Did you mean {near[0]!r}? " if near else ""
    return WrongUse(f"no {noun} {reference!r}", f"known are {_names(known)}", f"{meant}See: {to_list}")


def _names(known: Iterable[str]) -> str:
    names = sorted(set(known))
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more
