"""Sessions of signed-in users: opaque secrets, kept as a hash.

`store.lifecycle` ends them in the transaction that ends access.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import fetch, run_many
from store.errors import AccessRefused
from store.keys import new_id, utc_now
from store.records import (
    Ending,
    Origin,
    Session,
    SessionId,
    SessionPurpose,
    SessionTerms,
    TenantId,
    UserId,
)

LIFETIME_S = SessionTerms().lifetime_s
SEEN_EVERY_S = 60.0
"""The last use of a session is written at most so often."""

_c = tables.sessions.c
_u = tables.users.c
_PUBLIC = [column for column in _c if column.name != "secret_hash"]


def good_for_its_account(columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Return the query for the session with a secret, if it did not end and is good for
    its account; it may have run out.

    One look-up by the secret's hash, one by the account's id.
    """
    return (
        select(*columns)
        .join(tables.users, (_u.id == _c.user_id) & (_u.tenant_id == _c.tenant_id))
        .where(
            _c.secret_hash == bindparam("secret_hash"),
            _c.revoked_at.is_(None),
            _u.active,
            _u.deleted_at.is_(None),
            _u.period == _c.period,
            _u.holder_number == _c.holder_number,
        )
    )


_LIVE = good_for_its_account(_PUBLIC).where(
    _c.expires_at > bindparam("now"), _c.idle_until > bindparam("now")
)
_SEEN = (
    update(tables.sessions)
    .where(
        _c.tenant_id == bindparam("of_tenant"),
        _c.id == bindparam("seen_id"),
        _c.revoked_at.is_(None),
        _c.last_seen_at < bindparam("seen_at"),
    )
    .values(last_seen_at=bindparam("seen_at"), idle_until=bindparam("still_until"))
)


def _to_session(row: dict[str, Any]) -> Session:
    return Session(**{**row, "purpose": SessionPurpose(row["purpose"])})


def hash_secret(secret: str) -> str:
    """Return the form in which a secret is kept."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def start(
    conn: AsyncConnection,
    tenant_id: TenantId,
    user_id: UserId,
    *,
    terms: SessionTerms | None = None,
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
    terms, at = terms or SessionTerms(), now or utc_now()
    ends = at + timedelta(seconds=terms.lifetime_s)
    idle_until = ends if terms.idle_s is None else min(ends, at + timedelta(seconds=terms.idle_s))
    values: dict[str, Any] = {
        "id": SessionId(new_id()),
        "tenant_id": tenant_id,
        "user_id": user_id,
        "purpose": terms.purpose,
        "client": terms.client,
        "created_at": at,
        "expires_at": ends,
        "idle_until": idle_until,
        "last_seen_at": at,
        "created_from": terms.created_from,
        "agent": terms.agent,
        "issuer": terms.issuer,
        "issuer_subject": terms.issuer_subject,
        "issuer_session_id": terms.issuer_session_id,
        "holder_number": user.holder_number,
        "period": user.period,
    }
    secret = secrets.token_urlsafe(32)
    row = {**values, "purpose": terms.purpose.value, "secret_hash": hash_secret(secret)}
    await conn.execute(insert(tables.sessions).values(row))
    return Session(**values), secret


async def find_live(conn: AsyncConnection, secret: str, *, now: datetime | None = None) -> Session | None:
    """Return the session of this secret if it is good for the account as it is now.

    It neither ended, ran out nor was idle for too long, and was issued to the present
    holder in the present period of access (invariant I10). The secret decides the
    tenant.
    """
    values = {"secret_hash": hash_secret(secret), "now": now or utc_now()}
    rows = await fetch(conn, _LIVE, values)
    return _to_session(rows[0]) if rows else None


async def note_seen(
    conn: AsyncConnection, tenant_id: TenantId, seen: Mapping[SessionId, tuple[datetime, datetime]]
) -> None:
    """Note the last use of sessions of a tenant, and until when each may be idle."""
    rows = [
        {"of_tenant": tenant_id, "seen_id": each, "seen_at": at, "still_until": until}
        for each, (at, until) in sorted(seen.items())
    ]
    if rows:
        await run_many(conn, _SEEN, rows)


async def get(conn: AsyncConnection, tenant_id: TenantId, session_id: SessionId) -> Session | None:
    """Return a session of the tenant, an ended one too."""
    query = select(*_PUBLIC).where(_c.tenant_id == tenant_id, _c.id == session_id)
    row = (await conn.execute(query)).mappings().first()
    return None if row is None else _to_session(dict(row))


async def hand_over(
    conn: AsyncConnection,
    tenant_id: TenantId,
    session_id: SessionId,
    client: str,
    idle_s: float,
    *,
    now: datetime | None = None,
) -> str | None:
    """Give a live session to the app that redeemed its code; return its new secret.

    None where it has ended, or its person's access has.
    """
    at, secret = now or utc_now(), secrets.token_urlsafe(32)
    session = await get(conn, tenant_id, session_id)
    if session is None or session.is_over(at):
        return None
    values = {
        "secret_hash": hash_secret(secret),
        "client": client,
        "last_seen_at": at,
        "idle_until": min(session.expires_at, at + timedelta(seconds=idle_s)),
    }
    mine = (_c.tenant_id == tenant_id, _c.id == session_id, _c.revoked_at.is_(None))
    await conn.execute(update(tables.sessions).where(*mine).values(values))
    return secret if await find_live(conn, secret, now=at) else None


async def list_for_user(conn: AsyncConnection, tenant_id: TenantId, user_id: UserId) -> list[Session]:
    """Return all sessions of a user, ended ones too, the newest first."""
    query = select(*_PUBLIC).where(_c.tenant_id == tenant_id, _c.user_id == user_id)
    rows = await conn.execute(query.order_by(_c.created_at.desc(), _c.id))
    return [_to_session(dict(row)) for row in rows.mappings()]


SIGNED_OUT = Ending("signed out", by="user")


async def end(
    conn: AsyncConnection,
    tenant_id: TenantId,
    session_id: SessionId,
    ending: Ending = SIGNED_OUT,
    *,
    now: datetime | None = None,
) -> int:
    """End a session; return 0 if it had ended already or is not the tenant's."""
    return await _end(conn, tenant_id, _c.id == session_id, ending, now)


async def end_for_user(
    conn: AsyncConnection,
    tenant_id: TenantId,
    user_id: UserId,
    ending: Ending = SIGNED_OUT,
    *,
    now: datetime | None = None,
) -> int:
    """End all sessions of a user and return how many had not ended."""
    return await _end(conn, tenant_id, _c.user_id == user_id, ending, now)


async def end_for_issuer(
    conn: AsyncConnection,
    tenant_id: TenantId,
    issuer: str,
    *,
    issuer_session_id: str | None = None,
    issuer_subject: str | None = None,
    now: datetime | None = None,
) -> int:
    """End what the provider names at sign-out: one of its sessions, or a whole subject.

    Without either nothing ends.
    """
    if issuer_session_id is not None:
        which = _c.issuer_session_id == issuer_session_id
        if issuer_subject is not None:
            which &= _c.issuer_subject == issuer_subject
    elif issuer_subject is not None:
        which = _c.issuer_subject == issuer_subject
    else:
        return 0
    ending = Ending("signed out at the identity provider", by="identity provider", origin=Origin.API)
    return await _end(conn, tenant_id, which & (_c.issuer == issuer), ending, now)


async def _end(
    conn: AsyncConnection,
    tenant_id: TenantId,
    which: ColumnElement[bool],
    ending: Ending,
    now: datetime | None,
) -> int:
    ended = await conn.execute(
        update(tables.sessions)
        .where(_c.tenant_id == tenant_id, _c.revoked_at.is_(None), which)
        .values(
            revoked_at=now or utc_now(),
            revoke_reason=ending.reason,
            revoked_by=ending.by,
            revoked_origin=ending.origin.value,
            revoked_ref=ending.ref,
        )
    )
    return ended.rowcount
