"""API tokens: shown once, stored as a hash, several per connection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import RowMapping, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.directory import users
from store.errors import NotFound
from store.keys import new_id, utc_now
from store.logs import audit_log
from store.records import ApiToken, ConnectionId, Federation, JsonValue, TenantId, TokenId, UserId
from store.tenancy.token_secrets import SHOWN_LENGTH, hash_secret, is_well_formed, new_secret

WARNED_DAYS = (1, 7, 30)

_c = tables.api_tokens.c
_PUBLIC = [column for column in _c if column.name not in ("secret_hash", "warned_days")]
_OF_SECRET = select(*_PUBLIC).where(_c.secret_hash == bindparam("secret_hash"))


def _to_token(row: RowMapping) -> ApiToken:
    fields = dict(row)
    fields["permissions"] = tuple(fields["permissions"])
    fields["allowed_addresses"] = tuple(fields["allowed_addresses"])
    subject, audiences = fields.pop("federation_subject"), fields.pop("federation_audiences")
    federation = None if subject is None else Federation(subject, tuple(audiences or ()))
    return ApiToken(**fields, federation=federation)


async def create(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    name: str,
    permissions: Sequence[str],
    *,
    expires_at: datetime | None = None,
    allowed_addresses: Sequence[str] = (),
    user_id: UserId | None = None,
    federation: Federation | None = None,
    replaces_id: TokenId | None = None,
    actor: str = audit_log.NOBODY,
    now: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Create a token and return it with its secret, which cannot be read again.

    Raises `NotFound` for an unknown user. Users are never erased, so the user of a
    token stays known. A token with `federation` is used without its secret.
    """
    user = None
    if user_id is not None:
        user = await users.get(conn, tenant_id, user_id, connection_id=connection_id)
    secret = new_secret()
    token = ApiToken(
        id=TokenId(new_id()),
        tenant_id=tenant_id,
        connection_id=connection_id,
        name=name,
        prefix=secret[:SHOWN_LENGTH],
        permissions=tuple(permissions),
        created_at=now or utc_now(),
        expires_at=expires_at,
        allowed_addresses=tuple(allowed_addresses),
        user_id=user_id,
        holder_number=user.holder_number if user else None,
        period=user.period if user else None,
        federation=federation,
        replaces_id=replaces_id,
    )
    await conn.execute(
        insert(tables.api_tokens).values(
            id=token.id,
            tenant_id=tenant_id,
            connection_id=connection_id,
            name=name,
            prefix=token.prefix,
            secret_hash=hash_secret(secret),
            permissions=list(permissions),
            allowed_addresses=list(allowed_addresses),
            created_at=token.created_at,
            expires_at=expires_at,
            user_id=user_id,
            holder_number=token.holder_number,
            period=token.period,
            federation_subject=federation.subject if federation else None,
            federation_audiences=list(federation.audiences) if federation else None,
            replaces_id=replaces_id,
        )
    )
    await _record(conn, token, actor, "created", now, permissions=list(permissions), **_terms(token))
    return token, secret


def _terms(token: ApiToken) -> dict[str, JsonValue]:
    """Return the terms of a token for the audit log, beyond permissions: only those
    that are set.
    """
    terms: dict[str, JsonValue] = {
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "allowed_addresses": list(token.allowed_addresses),
        "user_id": token.user_id,
        "federation_subject": token.federation.subject if token.federation else None,
    }
    return {name: value for name, value in terms.items() if value}


async def _record(
    conn: AsyncConnection,
    token: ApiToken,
    actor: str,
    deed: str,
    now: datetime | None,
    **detail: JsonValue,
) -> None:
    label = f"{token.name} ({token.prefix}…)"
    await audit_log.record(
        conn, token.tenant_id, token.connection_id, actor, f"token.{deed}", token.id, label, detail, now=now
    )


async def find_by_secret(conn: AsyncConnection, secret: str) -> ApiToken | None:
    """Return the token with this secret, also a revoked, suspended or expired one.

    The caller says why it is refused. The query has no tenant: the token decides the
    tenant.
    """
    if not is_well_formed(secret):
        return None
    row = (await conn.execute(_OF_SECRET, {"secret_hash": hash_secret(secret)})).mappings().first()
    return None if row is None else _to_token(row)


async def get(conn: AsyncConnection, tenant_id: TenantId, token_id: TokenId) -> ApiToken:
    query = select(*_PUBLIC).where(_c.tenant_id == tenant_id, _c.id == token_id)
    row = (await conn.execute(query)).mappings().first()
    if row is None:
        raise NotFound("no such API token: `leaver token list` shows all")
    return _to_token(row)


async def list_for(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId | None = None
) -> list[ApiToken]:
    query = select(*_PUBLIC).where(_c.tenant_id == tenant_id)
    if connection_id is not None:
        query = query.where(_c.connection_id == connection_id)
    rows = await conn.execute(query.order_by(_c.created_at, _c.id))
    return [_to_token(row) for row in rows.mappings()]


async def _change(conn: AsyncConnection, tenant_id: TenantId, token_id: TokenId, **values: Any) -> ApiToken:
    await conn.execute(
        update(tables.api_tokens).where(_c.tenant_id == tenant_id, _c.id == token_id).values(**values)
    )
    return await get(conn, tenant_id, token_id)


async def _mark(
    conn: AsyncConnection,
    tenant_id: TenantId,
    token_id: TokenId,
    mark: Literal["revoked_at", "suspended_at"],
    at: datetime | None,
    deed: str,
    actor: str,
    now: datetime | None,
) -> ApiToken:
    """Set or clear a mark and record it. A mark that is set already keeps its time."""
    token = await get(conn, tenant_id, token_id)
    if (getattr(token, mark) is None) == (at is None):
        return token
    await _record(conn, token, actor, deed, now)
    return await _change(conn, tenant_id, token_id, **{mark: at})


async def revoke(
    conn: AsyncConnection,
    tenant_id: TenantId,
    token_id: TokenId,
    *,
    actor: str = audit_log.NOBODY,
    now: datetime | None = None,
) -> ApiToken:
    """End a token for good. The time of the first revocation stays."""
    return await _mark(conn, tenant_id, token_id, "revoked_at", now or utc_now(), "revoked", actor, now)


async def suspend(
    conn: AsyncConnection,
    tenant_id: TenantId,
    token_id: TokenId,
    *,
    actor: str = audit_log.NOBODY,
    now: datetime | None = None,
) -> ApiToken:
    """Refuse a token until `resume`. The time of the first suspension stays."""
    at = now or utc_now()
    return await _mark(conn, tenant_id, token_id, "suspended_at", at, "suspended", actor, now)


async def resume(
    conn: AsyncConnection,
    tenant_id: TenantId,
    token_id: TokenId,
    *,
    actor: str = audit_log.NOBODY,
    now: datetime | None = None,
) -> ApiToken:
    """Accept a suspended token again."""
    return await _mark(conn, tenant_id, token_id, "suspended_at", None, "resumed", actor, now)


async def allow_addresses(
    conn: AsyncConnection,
    tenant_id: TenantId,
    token_id: TokenId,
    addresses: Sequence[str],
    *,
    actor: str = audit_log.NOBODY,
    now: datetime | None = None,
) -> ApiToken:
    """Restrict a token to these addresses and networks; an empty list allows all."""
    token = await get(conn, tenant_id, token_id)
    before, after = list(token.allowed_addresses), list(addresses)
    await _record(conn, token, actor, "addresses_changed", now, before=before, after=after)
    return await _change(conn, tenant_id, token_id, allowed_addresses=after)


async def rotate(
    conn: AsyncConnection,
    tenant_id: TenantId,
    token_id: TokenId,
    *,
    old_ends_at: datetime | None = None,
    expires_at: datetime | None = None,
    actor: str = audit_log.NOBODY,
    now: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Create a twin of a token with a new secret.

    The old token ends at `old_ends_at`, so that both work while Entra is reconfigured.
    Without `old_ends_at` it is revoked at once.
    """
    old = await get(conn, tenant_id, token_id)
    if old_ends_at is None:
        await revoke(conn, tenant_id, token_id, actor=actor, now=now)
    elif old.expires_at is None or old_ends_at < old.expires_at:
        await _record(conn, old, actor, "rotated", now, ends_at=old_ends_at.isoformat())
        await _change(conn, tenant_id, token_id, expires_at=old_ends_at)
    return await create(
        conn,
        tenant_id,
        old.connection_id,
        old.name,
        old.permissions,
        expires_at=expires_at,
        allowed_addresses=old.allowed_addresses,
        user_id=old.user_id,
        federation=old.federation,
        replaces_id=old.id,
        actor=actor,
        now=now,
    )


def ends_within_days(token: ApiToken, now: datetime) -> int | None:
    """Return 1, 7 or 30 when a working token ends within so many days, else None.

    Its admin is warned then.
    """
    if token.revoked_at is not None or token.expires_at is None or token.expires_at <= now:
        return None
    left = token.expires_at - now
    return next((days for days in WARNED_DAYS if left <= timedelta(days=days)), None)


async def touch(
    conn: AsyncConnection,
    tenant_id: TenantId,
    token_id: TokenId,
    address: str | None,
    *,
    now: datetime | None = None,
) -> None:
    """Record the last use. Callers do so now and then, not with every request."""
    await conn.execute(
        update(tables.api_tokens)
        .where(_c.tenant_id == tenant_id, _c.id == token_id)
        .values(last_used_at=now or utc_now(), last_used_from=address)
    )
