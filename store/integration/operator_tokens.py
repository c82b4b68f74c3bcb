"""API tokens of operators: they act over all tenants, and open the admin API only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import NotFound
from store.keys import new_id, utc_now
from store.logs import audit_log
from store.records import OperatorToken, TokenId
from store.tenancy.token_secrets import SHOWN_LENGTH, hash_secret, is_well_formed, new_secret

_c = tables.operator_tokens.c
_PUBLIC = [column for column in _c if column.name != "secret_hash"]


def _to_token(row: RowMapping) -> OperatorToken:
    return OperatorToken(**{**row, "permissions": tuple(row["permissions"])})


async def create(
    conn: AsyncConnection,
    name: str,
    permissions: Sequence[str],
    *,
    expires_at: datetime | None = None,
    actor: str = audit_log.NOBODY,
    now: datetime | None = None,
) -> tuple[OperatorToken, str]:
    """Create a token and return it with its secret, which cannot be read again."""
    secret = new_secret()
    token = OperatorToken(
        id=TokenId(new_id()),
        name=name,
        prefix=secret[:SHOWN_LENGTH],
        permissions=tuple(permissions),
        created_at=now or utc_now(),
        created_by=actor,
        expires_at=expires_at,
    )
    await conn.execute(
        insert(tables.operator_tokens).values(
            id=token.id,
            name=name,
            prefix=token.prefix,
            secret_hash=hash_secret(secret),
            permissions=list(permissions),
            created_at=token.created_at,
            created_by=actor,
            expires_at=expires_at,
        )
    )
    await _record(conn, token, actor, "created", now)
    return token, secret


async def find_by_secret(conn: AsyncConnection, secret: str) -> OperatorToken | None:
    """Return the token with this secret, also a revoked or expired one."""
    if not is_well_formed(secret):
        return None
    query = select(*_PUBLIC).where(_c.secret_hash == hash_secret(secret))
    row = (await conn.execute(query)).mappings().first()
    return None if row is None else _to_token(row)


async def list_all(conn: AsyncConnection) -> list[OperatorToken]:
    """Return all tokens, the oldest first."""
    rows = await conn.execute(select(*_PUBLIC).order_by(_c.created_at, _c.id))
    return [_to_token(row) for row in rows.mappings()]


async def revoke(
    conn: AsyncConnection, token: OperatorToken, *, actor: str = audit_log.NOBODY, now: datetime | None = None
) -> OperatorToken:
    """End a token for good. The time of the first revocation stays."""
    still_valid = (_c.id == token.id, _c.revoked_at.is_(None))
    ended = await conn.execute(
        update(tables.operator_tokens).where(*still_valid).values(revoked_at=now or utc_now())
    )
    if ended.rowcount:
        await _record(conn, token, actor, "revoked", now)
    row = (await conn.execute(select(*_PUBLIC).where(_c.id == token.id))).mappings().first()
    if row is None:
        raise NotFound("no such operator token: `leaver token operator list` shows all")
    return _to_token(row)


async def _record(
    conn: AsyncConnection, token: OperatorToken, actor: str, deed: str, now: datetime | None
) -> None:
    label = f"{token.name} ({token.prefix}…)"
    detail = {"permissions": list(token.permissions)}
    await audit_log.record(
        conn,
        audit_log.INSTALLATION,
        None,
        actor,
        f"operator_token.{deed}",
        token.id,
        label,
        {**detail},
        now=now,
    )
