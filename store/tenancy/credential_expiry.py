"""When Graph credentials of connections and API tokens end.

Operators are warned 30, 7 and 1 days ahead.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.logs import events
from store.records import Connection, ConnectionId, JsonValue, TenantId
from store.tenancy.api_tokens import WARNED_DAYS

_c, _t = tables.connections.c, tables.api_tokens.c


class CredentialState(StrEnum):
    """The state of a connection's credential, in rising urgency after `VALID`."""

    MISSING = "missing"
    VALID = "valid"
    """Stored, and not known to end within 30 days.

    Only Entra knows the end of a client secret, unless an admin entered it.
    """
    ENDS_WITHIN_30_DAYS = "ends_within_30_days"
    ENDS_WITHIN_7_DAYS = "ends_within_7_days"
    ENDS_WITHIN_1_DAY = "ends_within_1_day"
    EXPIRED = "expired"

    @property
    def is_warning(self) -> bool:
        return self in _AHEAD


_AHEAD = {
    CredentialState.EXPIRED: timedelta(0),
    CredentialState.ENDS_WITHIN_1_DAY: timedelta(days=1),
    CredentialState.ENDS_WITHIN_7_DAYS: timedelta(days=7),
    CredentialState.ENDS_WITHIN_30_DAYS: timedelta(days=30),
}
"""The most urgent first."""
FURTHEST_WARNING = max(_AHEAD.values())


def credential_state(connection: Connection, now: datetime) -> CredentialState:
    """Return the state of the connection's credential at `now`."""
    if not connection.has_credential:
        return CredentialState.MISSING
    ends = connection.credential_expires_at
    if ends is None:
        return CredentialState.VALID
    return next((state for state, ahead in _AHEAD.items() if ends <= now + ahead), CredentialState.VALID)


async def count_warnings(conn: AsyncConnection, now: datetime) -> dict[CredentialState, int]:
    """Count connections of every tenant whose credential has ended or soon ends, by
    state.

    Paused connections are left out.
    """
    ends = _c.credential_expires_at
    state = case(*((ends <= now + ahead, name.value) for name, ahead in _AHEAD.items()))
    query = (
        select(state, func.count())
        .where(ends <= now + FURTHEST_WARNING, _c.credential.is_not(None), _c.paused_at.is_(None))
        .group_by(state)
    )
    found = {CredentialState(name): count for name, count in await conn.execute(query)}
    return {name: found.get(name, 0) for name in _AHEAD}


async def note_end(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, ends: datetime | None
) -> None:
    """Record the end of the credential that a rotated file now holds.

    It is no new credential, so the guard does not hold removals for it.
    """
    await conn.execute(
        update(tables.connections)
        .where(_c.tenant_id == tenant_id, _c.id == connection_id)
        .values(credential_expires_at=ends)
    )


_FURTHEST = timedelta(days=max(WARNED_DAYS))


async def tell_of_tokens(conn: AsyncConnection, now: datetime) -> int:
    """Write an event for each token of any tenant that has come 30, 7 or 1 days near
    its end; return how many.

    The step is kept with the token, so that every step is told once.
    """
    query = (
        select(_t.id, _t.tenant_id, _t.connection_id, _t.name, _t.expires_at, _t.warned_days)
        .where(_t.revoked_at.is_(None), _t.expires_at > now, _t.expires_at <= now + _FURTHEST)
        .order_by(_t.id)
        .with_for_update()
    )
    told = 0
    for row in (await conn.execute(query)).all():
        days = next(each for each in WARNED_DAYS if row.expires_at <= now + timedelta(days=each))
        if row.warned_days is not None and row.warned_days <= days:
            continue
        await conn.execute(update(tables.api_tokens).where(_t.id == row.id).values(warned_days=days))
        payload: dict[str, JsonValue] = {
            "name": row.name,
            "endsAt": row.expires_at.isoformat(),
            "withinDays": days,
        }
        await events.add(*(conn, row.tenant_id, row.connection_id, "token.ending", row.id, payload), now=now)
        told += 1
    return told
