"""Create, list, rotate, suspend, resume, bind and revoke API tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, requires
from console.admin.errors import (
    FederationForUser,
    FederationIncomplete,
    InvalidAddress,
    TokenRevoked,
)
from console.admin.permissions import FOR_ENTRA, FOR_ITSELF, check_permission
from console.admin.references import find_connection, find_token, find_user
from console.admin.services import Services
from store.records import ApiToken, Connection, Federation, TenantId, TokenId
from store.tenancy import api_tokens, connections


@dataclass(frozen=True, slots=True)
class NewToken:
    """The token that is to be created."""

    name: str
    permissions: Sequence[str] | None = None
    """None gives `FOR_ENTRA`, or `FOR_ITSELF` to a token of a user."""
    expires_days: int | None = None
    allowed_addresses: Sequence[str] = ()
    user: str | None = None
    """The userName or id of the user that the token stands for."""
    federation_subject: str | None = None
    federation_audiences: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A new token with its secret, which cannot be read again."""

    token: ApiToken
    secret: str
    connection: Connection
    replaces: ApiToken | None = None
    """The token that it replaces; None if it replaces none."""


@requires("admin:token:create", recent=True)
async def create(services: Services, actor: Actor, connection: str, wanted: NewToken) -> CreatedToken:
    """Create a token of a connection.

    Raises `UnknownPermission`, `InvalidAddress`, `FederationIncomplete`,
    `FederationForUser`, and `UnknownReference` for the connection or the user.
    """
    standard = FOR_ITSELF if wanted.user else FOR_ENTRA
    granted = [check_permission(permission) for permission in wanted.permissions or standard]
    _require_grants(actor, granted)
    addresses = [_check_network(each) for each in wanted.allowed_addresses]
    federation = _federation(wanted)
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        user = await find_user(conn, found, wanted.user) if wanted.user else None
    token, secret = await services.db.write(
        lambda conn: api_tokens.create(
            conn,
            found.tenant_id,
            found.id,
            wanted.name,
            granted,
            expires_at=_in_days(wanted.expires_days),
            allowed_addresses=addresses,
            user_id=user.id if user else None,
            federation=federation,
            actor=actor.label,
        )
    )
    return CreatedToken(token, secret, found)


@requires("admin:token:read")
async def list_for(services: Services, actor: Actor, connection: str) -> Sequence[ApiToken]:
    """Return the tokens of a connection, the oldest first."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        return await api_tokens.list_for(conn, found.tenant_id, found.id)


@requires("admin:token:read")
async def show(services: Services, actor: Actor, token: str) -> ApiToken:
    """Return one token by its id or name. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        return await find_token(conn, actor, token)


@requires("admin:token:create", recent=True)
async def rotate(
    services: Services,
    actor: Actor,
    token: str,
    overlap_days: int,
    expires_days: int | None = None,
    *,
    connection: str | None = None,
) -> CreatedToken:
    """Create a successor of a token, which knows the one it replaces.

    The old one ends after `overlap_days`, with 0 at once. `connection`: of which the
    token is. Raises `TokenRevoked`, and `PermissionMissing` where the token may more
    than the actor, who would get its secret.
    """
    async with services.db.reading() as conn:
        old = await find_token(conn, actor, token, connection)
        _require_grants(actor, old.permissions)
        if old.revoked_at is not None:
            raise TokenRevoked(old.name)
        owner = await connections.get(conn, old.tenant_id, old.connection_id)
    made, secret = await services.db.write(
        lambda conn: api_tokens.rotate(
            conn,
            old.tenant_id,
            old.id,
            old_ends_at=_in_days(overlap_days) if overlap_days else None,
            expires_at=_in_days(expires_days),
            actor=actor.label,
        )
    )
    return CreatedToken(made, secret, owner, old)


@requires("admin:token:revoke")
async def revoke(services: Services, actor: Actor, token: str, *, connection: str | None = None) -> ApiToken:
    """End a token at once and for good."""
    return await _change(services, actor, token, api_tokens.revoke, connection=connection)


@requires("admin:token:revoke")
async def revoke_replaced(services: Services, actor: Actor, connection: str) -> Sequence[ApiToken]:
    """End the tokens of a connection whose successor was used; return them.

    A successor that was never used is not yet pasted: the old one is still needed.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        known = await api_tokens.list_for(conn, found.tenant_id, found.id)
    used = {token.replaces_id for token in known if token.last_used_at is not None}
    replaced = [token for token in known if token.id in used and token.revoked_at is None]

    async def work(conn: AsyncConnection) -> Sequence[ApiToken]:
        return [
            await api_tokens.revoke(conn, token.tenant_id, token.id, actor=actor.label) for token in replaced
        ]

    return await services.db.write(work)


@requires("admin:token:revoke")
async def suspend(services: Services, actor: Actor, token: str, *, connection: str | None = None) -> ApiToken:
    """Refuse a token until it is resumed. Raises `TokenRevoked`."""
    return await _change(
        services, actor, token, api_tokens.suspend, connection=connection, refuses_revoked=True
    )


@requires("admin:token:create", recent=True)
async def resume(services: Services, actor: Actor, token: str, *, connection: str | None = None) -> ApiToken:
    """Accept a suspended token again. Raises `TokenRevoked`."""
    return await _change(
        services, actor, token, api_tokens.resume, connection=connection, refuses_revoked=True
    )


@requires("admin:token:create", recent=True)
async def allow_addresses(services: Services, actor: Actor, token: str, addresses: Sequence[str]) -> ApiToken:
    """Accept a token from these addresses only; with none, from everywhere.

    Raises `InvalidAddress`.
    """
    checked = [_check_network(each) for each in addresses]

    def work(
        conn: AsyncConnection, tenant_id: TenantId, token_id: TokenId, *, actor: str
    ) -> Awaitable[ApiToken]:
        return api_tokens.allow_addresses(conn, tenant_id, token_id, checked, actor=actor)

    return await _change(services, actor, token, work)


async def _change(
    services: Services,
    actor: Actor,
    reference: str,
    change: Callable[..., Awaitable[ApiToken]],
    *,
    connection: str | None = None,
    refuses_revoked: bool = False,
) -> ApiToken:
    async with services.db.reading() as conn:
        token = await find_token(conn, actor, reference, connection)
    if actor.connection is not None:  # a stranger by a setup link: the app's own tokens are none of theirs
        _require_grants(actor, token.permissions)
    if refuses_revoked and token.revoked_at is not None:
        raise TokenRevoked(token.name)
    return await services.db.write(lambda conn: change(conn, token.tenant_id, token.id, actor=actor.label))


def _require_grants(actor: Actor, permissions: Sequence[str]) -> None:
    """Raise `PermissionMissing` unless the actor may give all of these: a token may no
    more than the person who makes it.
    """
    for permission in permissions:
        actor.require_grant(permission)


def _federation(wanted: NewToken) -> Federation | None:
    if not wanted.federation_subject and not wanted.federation_audiences:
        return None
    if not wanted.federation_subject or not wanted.federation_audiences:
        raise FederationIncomplete
    if wanted.user:
        raise FederationForUser
    return Federation(wanted.federation_subject, tuple(wanted.federation_audiences))


def _check_network(address: str) -> str:
    try:
        return str(ip_network(address, strict=False))
    except ValueError:
        raise InvalidAddress(address) from None


def _in_days(days: int | None) -> datetime | None:
    return None if days is None else datetime.now(UTC) + timedelta(days=days)
