"""Let the people of a connection sign in by a provider other than Entra."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.errors import InvalidPolicy
from console.admin.people.users import find_account
from console.admin.references import find_connection
from console.admin.services import Services
from store.integration import openid_providers
from store.integration.openid_providers import OpenIdProvider
from store.keys import utc_now
from store.records import Connection, User
from worker.delivery.targets import PrivateAddress, TargetRefused, check_url

NAMES_OF_OTHERS = frozenset(
    {
        *("email", "preferred_username", "upn", "unique_name", "name", "nickname"),
        *("given_name", "family_name", "phone_number", "sub"),
    }
)
"""Claims that link no one: they are given to others, or say nothing of an account."""
LONGEST = 255
PRIVATE_REMEDY = "the operator of Leaver allows their own network by LEAVER_ALLOW_PRIVATE_ISSUERS=1"


@dataclass(frozen=True, slots=True)
class SignInProvider:
    """By what the people of a connection sign in."""

    connection: Connection
    other: OpenIdProvider | None
    """None: by the connection's own Entra directory."""


@dataclass(frozen=True, slots=True)
class NewProvider:
    """The provider, Leaver's registration with it, and the claim that links people."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    link_claim: str | None = None


@requires("admin:connection:read")
async def show(services: Services, actor: Actor, connection: str) -> SignInProvider:
    """Return by what people sign in; never a secret. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        return SignInProvider(found, await in_use(conn, found))


async def in_use(conn: AsyncConnection, connection: Connection) -> OpenIdProvider | None:
    """Return the provider of a connection; None: Entra."""
    known = await openid_providers.get(conn, connection.tenant_id, connection.id)
    return None if known is None else known[0]


@requires("admin:connection:update", recent=True)
async def set_provider(
    services: Services, actor: Actor, connection: str, wanted: NewProvider
) -> OpenIdProvider:
    """Sign people in by this provider from now on.

    Raises `UnknownReference`, `InvalidPolicy`, `SecretKeyMissing`, `PermissionMissing`.
    """
    _check(services, wanted)
    provider = OpenIdProvider(wanted.issuer, wanted.client_id, wanted.link_claim)
    sealed = services.sealer().seal(wanted.client_secret)

    async def work(conn: AsyncConnection) -> OpenIdProvider:
        found = await find_connection(conn, actor, connection)
        actor.require_setting_up(found)
        await openid_providers.put(conn, found.tenant_id, found.id, provider, sealed, utc_now())
        await audit.record(conn, actor, found, "openid_provider_set", issuer=wanted.issuer)
        return provider

    return await services.db.write(work)


@requires("admin:connection:update", recent=True)
async def remove_provider(services: Services, actor: Actor, connection: str) -> bool:
    """Sign people in by Entra again; return whether there was a provider.

    Raises `UnknownReference`, `PermissionMissing`.
    """

    async def work(conn: AsyncConnection) -> bool:
        found = await find_connection(conn, actor, connection)
        actor.require_setting_up(found)
        removed = await openid_providers.remove(conn, found.tenant_id, found.id)
        await audit.record(conn, actor, found, "openid_provider_removed")
        return bool(removed)

    return await services.db.write(work)


@requires("admin:connection:update", recent=True)
async def link(services: Services, actor: Actor, connection: str, user: str, subject: str) -> User:
    """Say that a subject of the connection's provider is the holder of an account.

    Who signs in as an account with the mark `admin` enters the console: it asks for a
    recent sign-in, as the mark does, and Entra's own token has not the permission.

    Raises `UnknownReference`, `InvalidPolicy`.
    """
    if not 0 < len(subject) <= LONGEST:
        raise InvalidPolicy("subject", f"it has 1 to {LONGEST} characters")

    async def work(conn: AsyncConnection) -> User:
        found = await find_connection(conn, actor, connection)
        actor.require_setting_up(found)
        account = await find_account(conn, found, user)
        known = await openid_providers.get(conn, found.tenant_id, found.id)
        if known is None:
            raise InvalidPolicy("subject", "the connection has no provider but Entra")
        await openid_providers.link(
            *(conn, found.tenant_id, account, known[0].issuer, subject, actor.label, utc_now())
        )
        await audit.record(conn, actor, found, "person_linked", account=account.id)
        return account

    return await services.db.write(work)


def _check(services: Services, wanted: NewProvider) -> None:
    _check_issuer(services, wanted.issuer)
    if not 0 < len(wanted.client_id) <= LONGEST or not wanted.client_secret:
        raise InvalidPolicy("client_id", "a client id and its secret are needed")
    if wanted.link_claim in NAMES_OF_OTHERS:
        raise InvalidPolicy("link_claim", "this claim is given to others, or names no account")


def _check_issuer(services: Services, text: str) -> None:
    """Raise `InvalidPolicy` unless it is an issuer as OpenID Connect Core §2 has it:
    https, with neither query nor fragment.

    An address within the operator's network is refused like the target of a webhook;
    a name is looked up when it is asked.
    """
    if not text.isprintable() or {"?", "#", " ", "@"} & set(text) or len(text) > LONGEST:
        raise InvalidPolicy("issuer", "it is the https URL that the provider's tokens name")
    settings = services.settings
    try:
        check_url(
            text, allows_loopback=settings.allow_simulator, allows_private=settings.allow_private_issuers
        )
    except PrivateAddress as refused:
        raise InvalidPolicy("issuer", f"{refused}: {PRIVATE_REMEDY}") from refused
    except TargetRefused as refused:
        raise InvalidPolicy(
            "issuer", f"it is the https URL that the provider's tokens name: {refused}"
        ) from refused
