"""Making, rotating, suspending and revoking API tokens from the command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import references
from console.admin.audit import operator
from console.admin.services import Services
from console.errors import WrongUse
from store.records import ApiToken, Connection, Federation, TenantId, TokenId
from store.tenancy import api_tokens, connections

ACTIONS = {
    "admin:user": ("create", "read", "update", "delete"),
    "admin:group": ("create", "read", "update", "delete"),
    "admin:sync": ("read", "run", "approve"),
    "admin:report": ("read",),
    "admin:token": ("create", "read", "revoke"),
}
"""Sections and actions as admins know them (design.md §6)."""

FOR_ENTRA = ("admin:user:*", "admin:group:*")
"""What Entra's provisioning service needs, and no more."""

FOR_ITSELF = ("admin:user:read",)
"""What a token that stands for a user may do at /Me unless more is asked for."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """What was typed at `leaver token create`."""

    name: str
    permissions: Sequence[str] | None = None
    expires_days: int | None = None
    allowed_addresses: Sequence[str] = ()
    user: str | None = None
    """The user it stands for: userName or id."""
    federation_subject: str | None = None
    federation_audiences: Sequence[str] = ()


async def create(
    services: Services, connection_reference: str, wanted: NewToken
) -> tuple[ApiToken, str, Connection]:
    """Makes a token; raises `WrongUse` for an unknown permission, connection or user, or half a federation."""
    standard = FOR_ITSELF if wanted.user else FOR_ENTRA
    granted = [_checked(permission) for permission in wanted.permissions or standard]
    addresses = [_network(each) for each in wanted.allowed_addresses]
    federation = _federation(wanted)
    async with services.db.reading() as conn:
        found = await references.connection(conn, connection_reference)
        user = await references.user(conn, found, wanted.user) if wanted.user else None
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
            actor=operator(),
        )
    )
    return token, secret, found


async def rotate(
    services: Services, reference: str, overlap_days: int, expires_days: int | None
) -> tuple[ApiToken, str, Connection]:
    """Makes a successor; the old token ends after `overlap_days`, with 0 at once."""
    async with services.db.reading() as conn:
        old = await references.token(conn, reference)
        connection = await connections.get(conn, old.tenant_id, old.connection_id)
    token, secret = await services.db.write(
        lambda conn: api_tokens.rotate(
            conn,
            old.tenant_id,
            old.id,
            old_ends_at=_in_days(overlap_days) if overlap_days else None,
            expires_at=_in_days(expires_days),
            actor=operator(),
        )
    )
    return token, secret, connection


async def revoke(services: Services, reference: str) -> ApiToken:
    """Ends a token at once and for good."""
    return await _change(services, reference, api_tokens.revoke)


async def suspend(services: Services, reference: str) -> ApiToken:
    """Refuses a token until it is resumed; raises `WrongUse` for one that is revoked."""
    return await _change(services, reference, api_tokens.suspend, revoked_is_wrong=True)


async def resume(services: Services, reference: str) -> ApiToken:
    """Lets a suspended token in again; raises `WrongUse` for one that is revoked."""
    return await _change(services, reference, api_tokens.resume, revoked_is_wrong=True)


async def allow(services: Services, reference: str, addresses: Sequence[str]) -> ApiToken:
    """Lets a token be used from these addresses only; from anywhere where none is given."""
    checked = [_network(each) for each in addresses]

    def work(
        conn: AsyncConnection, tenant_id: TenantId, token_id: TokenId, *, actor: str
    ) -> Awaitable[ApiToken]:
        return api_tokens.allow_addresses(conn, tenant_id, token_id, checked, actor=actor)

    return await _change(services, reference, work)


async def _change(
    services: Services,
    reference: str,
    deed: Callable[..., Awaitable[ApiToken]],
    *,
    revoked_is_wrong: bool = False,
) -> ApiToken:
    async with services.db.reading() as conn:
        token = await references.token(conn, reference)
    if revoked_is_wrong and token.revoked_at is not None:
        raise WrongUse(
            f"token {token.name!r}", "it is revoked, which is for good", "Make another: leaver token create"
        )
    return await services.db.write(lambda conn: deed(conn, token.tenant_id, token.id, actor=operator()))


def _federation(wanted: NewToken) -> Federation | None:
    if not wanted.federation_subject and not wanted.federation_audiences:
        return None
    if not wanted.federation_subject or not wanted.federation_audiences:
        raise WrongUse(
            "half a federation",
            "an assertion is known by its subject and its audience together",
            "Give both --federation-subject and --federation-audience",
        )
    if wanted.user:
        raise WrongUse(
            "--user with a federation", "Entra's own assertion stands for no user", "Give one of them"
        )
    return Federation(wanted.federation_subject, tuple(wanted.federation_audiences))


def _network(address: str) -> str:
    try:
        return str(ip_network(address, strict=False))
    except ValueError:
        raise WrongUse(
            f"--allow-address {address!r}",
            "this is neither an IP address nor a network",
            "For example: 203.0.113.7 or 10.0.0.0/8",
        ) from None


def _checked(permission: str) -> str:
    """Gives the permission as it is stored; a section alone is "Select all" of it."""
    if permission in ACTIONS:
        return f"{permission}:*"
    section, _, action = permission.rpartition(":")
    if section in ACTIONS and (action == "*" or action in ACTIONS[section]):
        return permission
    known = "; ".join(f"{name}: {' '.join(actions)}" for name, actions in ACTIONS.items())
    raise WrongUse(f"no permission {permission!r}", f"known are {known}", "For example: admin:user:*")


def _in_days(days: int | None) -> datetime | None:
    return None if days is None else datetime.now(UTC) + timedelta(days=days)
