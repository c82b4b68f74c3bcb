"""Sign-ins in progress: begun here, taken once when the provider answers.

A row is found by the state that the provider repeats, and is bound to the browser that
began it: a stolen or swapped answer opens nothing in another browser. A code for the
vendor's app is kept as a hash, and belongs to one connection, one session and one
address of the app (RFC 6749 §4.1.2).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.directory.sessions import hash_secret
from store.keys import utc_now
from store.records import ConnectionId, SessionId, TenantId

LIFETIME = timedelta(minutes=10)
"""As long as an authorization code of Entra's."""

CODE_LIFETIME_S = 60.0
"""Of a code, by which the vendor's app fetches the session of a sign-in."""

_c, _code = tables.sign_ins.c, tables.sign_in_codes.c


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """What is needed again when the provider answers."""

    sealed_flow: str = field(repr=False)
    return_path: str | None = None
    return_url: str | None = None
    """The address of the vendor's app, which gets a code; None: Leaver's own pages."""
    app_state: str | None = None
    """What the app sent along, and gets back as it is."""


async def begin(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    state: str,
    browser: str,
    pending: PendingSignIn,
    *,
    now: datetime | None = None,
) -> None:
    """Keep a sign-in for ten minutes; `state` and `browser` are kept as hashes."""
    at = now or utc_now()
    await conn.execute(
        insert(tables.sign_ins).values(
            state_hash=hash_secret(state),
            tenant_id=tenant_id,
            connection_id=connection_id,
            browser_hash=hash_secret(browser),
            flow=pending.sealed_flow,
            return_path=pending.return_path,
            return_url=pending.return_url,
            app_state=pending.app_state,
            created_at=at,
            expires_at=at + LIFETIME,
        )
    )


async def take(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    state: str,
    browser: str,
    *,
    now: datetime | None = None,
) -> PendingSignIn | None:
    """Return a sign-in and delete it; None where it is unknown, used, too old, or of
    another browser or connection.
    """
    taken = (
        delete(tables.sign_ins)
        .where(
            _c.state_hash == hash_secret(state),
            _c.browser_hash == hash_secret(browser),
            _c.tenant_id == tenant_id,
            _c.connection_id == connection_id,
            _c.expires_at > (now or utc_now()),
        )
        .returning(_c.flow, _c.return_path, _c.return_url, _c.app_state)
    )
    row = (await conn.execute(taken)).first()
    return None if row is None else PendingSignIn(*row)


@dataclass(frozen=True, slots=True)
class TakenCode:
    """What a code stands for; `is_first` for the one use that counts."""

    session_id: SessionId
    return_url: str
    is_first: bool


async def issue_code(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    session_id: SessionId,
    return_url: str,
    *,
    now: datetime | None = None,
) -> str:
    """Return a new code for a session."""
    code = secrets.token_urlsafe(32)
    await conn.execute(
        insert(tables.sign_in_codes).values(
            code_hash=hash_secret(code),
            tenant_id=tenant_id,
            connection_id=connection_id,
            session_id=session_id,
            return_url=return_url,
            expires_at=(now or utc_now()) + timedelta(seconds=CODE_LIFETIME_S),
        )
    )
    return code


async def take_code(
    conn: AsyncConnection,
    tenant_id: TenantId,
    connection_id: ConnectionId,
    code: str,
    *,
    now: datetime | None = None,
) -> TakenCode | None:
    """Use a code; None where it is unknown, too old, or another connection's.

    One that was used before is told apart: it was stolen, or sent twice.
    """
    at = now or utc_now()
    mine = (
        _code.code_hash == hash_secret(code),
        _code.tenant_id == tenant_id,
        _code.connection_id == connection_id,
    )
    first = update(tables.sign_in_codes).where(*mine, _code.used_at.is_(None), _code.expires_at > at)
    row = (await conn.execute(first.values(used_at=at).returning(_code.session_id, _code.return_url))).first()
    if row is not None:
        return TakenCode(SessionId(row.session_id), row.return_url, is_first=True)
    used = select(_code.session_id, _code.return_url).where(*mine, _code.used_at.is_not(None))
    row = (await conn.execute(used)).first()
    return None if row is None else TakenCode(SessionId(row.session_id), row.return_url, is_first=False)
