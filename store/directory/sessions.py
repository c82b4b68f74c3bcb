"""Sessions of signed-in users.

`store.lifecycle` ends them in the transaction that ends access.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.errors import AccessRefused
from store.keys import new_id, utc_now
from store.records import Session, SessionId, TenantId, UserId

LIFETIME_S = 8 * 3600.0

_c = tables.sessions.c
_u = tables.users.c
_PUBLIC = [column for column in _c if column.name != "secret_hash"]
_LIVE = (
    select(*_PUBLIC)
    .join(tables.users, (_u.id == _c.user_id) & (_u.tenant_id == _c.tenant_id))
    .where(
        _c.secret_hash == bindparam("secret_hash"),
        _c.revoked_at.is_(None),
        _c.expires_at > bindparam("now"),
        _u.active,
        _u.deleted_at.is_(None),
        _u.period == _c.period,
        _u.holder_number == _c.holder_number,
    )
)


def _to_session(row: RowMapping) -> Session:
    return Session(**row)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def start(
    conn: AsyncConnection,
    tenant_id: TenantId,
    user_id: UserId,
    *,
    lifetime_s: float = LIFETIME_S,
    now: datetime | None = None,
) -> tuple[Session, str]:
    """Sign a user in and return the session and the secret for the cookie.

    Raises `AccessRefused` if the user is deleted, unknown or inactive. On PostgreSQL
    the user's row is locked until this commits: a session and a deprovision cannot miss
    each other.
    """
    query = select(_u.holder_number, _u.period).where(
        _u.id == user_id, _u.tenant_id == tenant_id, _u.active, _u.deleted_at.is_(None)
    )
    user = (await conn.execute(query.with_for_update(read=True))).first()
    if user is None:
        raise AccessRefused("this account is not active: sign-in is refused until access is given again")
    at = now or utc_now()
    session = Session(
        SessionId(new_id()),
        tenant_id,
        user_id,
        at,
        at + timedelta(seconds=lifetime_s),
        holder_number=user.holder_number,
        period=user.period,
    )
    secret = secrets.token_urlsafe(32)
    await conn.execute(
        insert(tables.sessions).values(
            id=session.id,
            tenant_id=tenant_id,
            user_id=user_id,
            secret_hash=_hash(secret),
            created_at=at,
            expires_at=session.expires_at,
            holder_number=session.holder_number,
            period=session.period,
        )
    )
    return session, secret


async def find_live(conn: AsyncConnection, secret: str, *, now: datetime | None = None) -> Session | None:
    """Return the session of this secret if it is good for the account as it is now.

    It neither ended nor was revoked, and was issued to the present holder in the
    present period of access (invariant I10). The secret decides the tenant.
    """
    values = {"secret_hash": _hash(secret), "now": now or utc_now()}
    row = (await conn.execute(_LIVE, values)).mappings().first()
    return None if row is None else _to_session(row)


async def list_for_user(conn: AsyncConnection, tenant_id: TenantId, user_id: UserId) -> list[Session]:
    """Return all sessions of a user, ended ones too, the newest first."""
    query = select(*_PUBLIC).where(_c.tenant_id == tenant_id, _c.user_id == user_id)
    rows = await conn.execute(query.order_by(_c.created_at.desc(), _c.id))
    return [_to_session(row) for row in rows.mappings()]


async def end(
    conn: AsyncConnection, tenant_id: TenantId, session_id: SessionId, *, now: datetime | None = None
) -> None:
    """End a session because the user signed out."""
    await conn.execute(
        update(tables.sessions)
        .where(_c.tenant_id == tenant_id, _c.id == session_id, _c.revoked_at.is_(None))
        .values(revoked_at=now or utc_now(), revoke_reason="signed out")
    )
