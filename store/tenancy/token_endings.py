"""Tell once for each step that an API token stops working soon."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.logs import events
from store.records import JsonValue
from store.tenancy.api_tokens import WARNED_DAYS

_c = tables.api_tokens.c
_FURTHEST = timedelta(days=max(WARNED_DAYS))


async def tell(conn: AsyncConnection, now: datetime) -> int:
    """Write an event for each token of any tenant that has come 30, 7 or 1 days near
    its end; return how many.

    The step is kept with the token, so that every step is told once.
    """
    query = (
        select(_c.id, _c.tenant_id, _c.connection_id, _c.name, _c.expires_at, _c.warned_days)
        .where(_c.revoked_at.is_(None), _c.expires_at > now, _c.expires_at <= now + _FURTHEST)
        .order_by(_c.id)
        .with_for_update()
    )
    told = 0
    for row in (await conn.execute(query)).all():
        days = next(each for each in WARNED_DAYS if row.expires_at <= now + timedelta(days=each))
        if row.warned_days is not None and row.warned_days <= days:
            continue
        await conn.execute(update(tables.api_tokens).where(_c.id == row.id).values(warned_days=days))
        payload: dict[str, JsonValue] = {
            "name": row.name,
            "endsAt": row.expires_at.isoformat(),
            "withinDays": days,
        }
        await events.add(*(conn, row.tenant_id, row.connection_id, "token.ending", row.id, payload), now=now)
        told += 1
    return told
