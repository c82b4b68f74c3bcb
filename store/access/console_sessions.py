"""Sessions of browsers that opened a link. Each is looked up for every request.

A session is good while its link is not revoked and its operator not removed: what ends
one of them ends the session in the same commit.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.access.records import AccessLink, ConsoleSession, LinkKind, Role
from store.directory.sessions import SEEN_EVERY_S, hash_secret
from store.keys import new_id, utc_now
from store.records import ConnectionId, SessionTerms, TenantId

_c, _o, _l, _t = tables.console_sessions.c, tables.operators.c, tables.access_links.c, tables.tenants.c


async def start(
    conn: AsyncConnection,
    link: AccessLink,
    terms: SessionTerms,
    *,
    now: datetime | None = None,
) -> str:
    """Start the session of a browser that used a link; return its secret."""
    secret, at = secrets.token_urlsafe(32), now or utc_now()
    ends = link.expires_at if link.kind is LinkKind.SETUP else at + timedelta(seconds=terms.lifetime_s)
    idle_until = ends if terms.idle_s is None else min(ends, at + timedelta(seconds=terms.idle_s))
    await conn.execute(
        insert(tables.console_sessions).values(
            id=new_id(),
            secret_hash=hash_secret(secret),
            link_id=link.id,
            operator_id=link.operator_id,
            tenant_id=link.tenant_id,
            connection_id=link.connection_id,
            created_at=at,
            expires_at=ends,
            idle_until=idle_until,
            last_seen_at=at,
            created_from=terms.created_from,
            agent=terms.agent,
        )
    )
    return secret


async def find_live(
    conn: AsyncConnection, secret: str, *, now: datetime | None = None
) -> ConsoleSession | None:
    """Return the session with this secret if it is good now."""
    at = now or utc_now()
    query = (
        select(tables.console_sessions, _o.name, _o.role, _o.tenant_id.label("of_tenant"))
        .join(tables.access_links, _l.id == _c.link_id)
        .outerjoin(tables.operators, _o.id == _c.operator_id)
        .outerjoin(tables.tenants, _t.id == _c.tenant_id)
        .where(
            _c.secret_hash == hash_secret(secret),
            _c.ended_at.is_(None),
            _c.expires_at > at,
            _c.idle_until > at,
            _l.revoked_at.is_(None),
            _t.deleted_at.is_(None),
            or_(_c.operator_id.is_(None), (_o.id.is_not(None)) & _o.removed_at.is_(None)),
        )
    )
    row = (await conn.execute(query)).mappings().first()
    if row is None:
        return None
    return ConsoleSession(
        id=row["id"],
        link_id=row["link_id"],
        role=Role(row["role"]) if row["operator_id"] else Role.SETUP,
        name=row["name"] or f"setup link {row['link_id'][-8:]}",
        tenant_id=None if row["tenant_id"] is None else TenantId(row["tenant_id"]),
        connection_id=None if row["connection_id"] is None else ConnectionId(row["connection_id"]),
        operator_id=row["operator_id"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        idle_until=row["idle_until"],
        last_seen_at=row["last_seen_at"],
    )


async def note_seen(
    conn: AsyncConnection, session: ConsoleSession, idle_s: float | None, *, now: datetime | None = None
) -> None:
    """Note the last use; `is_due` says when."""
    at = now or utc_now()
    until = session.expires_at
    if idle_s is not None:
        until = min(until, at + timedelta(seconds=idle_s))
    seen = {"last_seen_at": at, "idle_until": until}
    await conn.execute(update(tables.console_sessions).where(_c.id == session.id).values(seen))


def is_due(session: ConsoleSession, now: datetime) -> bool:
    """Return whether the last use is to be written: at most once a minute."""
    return (now - session.last_seen_at).total_seconds() >= SEEN_EVERY_S


async def end(conn: AsyncConnection, secret: str, *, now: datetime | None = None) -> bool:
    """End the session with this secret; False where it had ended."""
    which = (_c.secret_hash == hash_secret(secret), _c.ended_at.is_(None))
    ended = update(tables.console_sessions).where(*which).values(ended_at=now or utc_now())
    return bool((await conn.execute(ended)).rowcount)
