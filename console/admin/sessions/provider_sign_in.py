"""Sign in a person that a provider other than Entra proved: by issuer and subject.

A subject is linked to the holder of an account by an administrator, or at the first
sign-in by the one claim that the connection chose; never by an e-mail address.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from config.errors import SealError
from console.admin.actor import Actor
from console.admin.services import Services
from console.admin.sessions.errors import SignInProblem, SignInRefused
from console.admin.sessions.sign_in import SignedInUser, find_connection_by_id
from store.directory import sessions, users
from store.errors import AccessRefused
from store.integration import openid_providers
from store.integration.openid_providers import OpenIdProvider
from store.keys import utc_now
from store.records import Connection, SessionTerms, User


@dataclass(frozen=True, slots=True)
class ProviderClient:
    """A provider, and Leaver's secret with it."""

    provider: OpenIdProvider
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProvenSubject:
    """A person by a verified token of the provider."""

    issuer: str
    subject: str
    link_value: str | None
    """What the chosen claim says; None without it."""


async def provider(services: Services, actor: Actor, connection: str) -> ProviderClient | None:
    """Return the provider of a connection; None where people sign in by Entra.

    Raises `UnknownReference`, `SignInRefused`.
    """
    async with services.db.reading() as conn:
        found = await find_connection_by_id(conn, actor, connection)
        known = await openid_providers.get(conn, found.tenant_id, found.id)
    if known is None:
        return None
    try:
        return ProviderClient(known[0], services.sealer().unseal(known[1]))
    except SealError as error:
        raise SignInRefused(SignInProblem.NOT_SET_UP, "the provider's secret cannot be read") from error


async def complete_by_subject(
    services: Services,
    actor: Actor,
    connection: str,
    person: ProvenSubject,
    terms: SessionTerms,
    *,
    ends: str | None = None,
) -> SignedInUser:
    """Start a session for the account of this subject, and link it at the first time.

    `ends` is the secret of the browser's earlier session, which ends. Raises
    `UnknownReference`, and `SignInRefused`.
    """

    async def work(conn: AsyncConnection) -> SignedInUser:
        found = await find_connection_by_id(conn, actor, connection)
        account = await _linked(conn, found, person) or await _first_time(conn, found, person)
        if account.sealed_at is not None:
            raise SignInRefused(SignInProblem.CONTESTED)
        earlier = None if ends is None else await sessions.find_live(conn, ends)
        if earlier is not None:
            await sessions.end(conn, earlier.tenant_id, earlier.id)
        try:
            session, secret = await sessions.start(conn, found.tenant_id, account.id, terms=terms)
        except AccessRefused:
            raise SignInRefused(SignInProblem.NO_ACCESS) from None
        return SignedInUser(account, session, secret)

    return await services.db.write(work)


async def _linked(conn: AsyncConnection, connection: Connection, person: ProvenSubject) -> User | None:
    """Return the account of a subject; a link to an earlier holder opens nothing."""
    place = (conn, connection.tenant_id, connection.id)
    known = await openid_providers.find(*place, person.issuer, person.subject)
    if known is None:
        return None
    account = await users.get(conn, connection.tenant_id, known[0], connection_id=connection.id)
    if account.holder_number != known[1]:
        raise SignInRefused(SignInProblem.UNKNOWN_PERSON)
    return account


async def _first_time(conn: AsyncConnection, connection: Connection, person: ProvenSubject) -> User:
    """Return the account that the chosen claim names, and link it.

    People may write a claim about themselves. So it takes no account that another
    subject of the issuer has, and none with a mark: those an administrator links.
    """
    value = person.link_value
    if value is None:
        raise SignInRefused(SignInProblem.UNKNOWN_PERSON)
    place = (conn, connection.tenant_id, connection.id)
    known = await users.load_some(*place, objects={value.lower()}, external_ids=[value])
    live = [user for user in known.values() if user.deleted_at is None and user.active]
    if len(live) != 1:
        raise SignInRefused(SignInProblem.CONTESTED if live else SignInProblem.UNKNOWN_PERSON)
    account = live[0]
    is_taken = await openid_providers.has_subject(conn, connection.tenant_id, account, person.issuer)
    if is_taken or account.is_admin or account.is_protected:
        raise SignInRefused(SignInProblem.CONTESTED)
    if account.sealed_at is None:
        by = f"claim of {person.issuer}"
        place_of_link = (conn, connection.tenant_id, account, person.issuer, person.subject)
        await openid_providers.link(*place_of_link, by, utc_now())
    return account
