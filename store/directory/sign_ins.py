"""Sign-ins in progress: begun here, taken once when the provider answers.

A row is found by the state that the provider repeats, and is bound to the browser that
began it: a stolen or swapped answer opens nothing in another browser.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.directory.sessions import hash_secret
from store.keys import utc_now
from store.records import ConnectionId, TenantId

LIFETIME = timedelta(minutes=10)
"""As long as an authorization code of Entra's."""

_c = tables.sign_ins.c


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """What is needed again when the provider answers."""

    sealed_flow: str = field(repr=False)
    return_path: str | None = None


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
        .returning(_c.flow, _c.return_path)
    )
    row = (await conn.execute(taken)).first()
    return None if row is None else PendingSignIn(row.flow, row.return_path)
