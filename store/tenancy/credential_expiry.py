"""When the Graph credentials of connections end: the states an operator is warned of 30, 7 and 1 days ahead."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.records import Connection, ConnectionId, TenantId

_c = tables.connections.c


class CredentialState(StrEnum):
    """How a connection's credential stands; the later the word, the sooner somebody has to act."""

    MISSING = "missing"
    VALID = "valid"
    """Stored, and not known to end within 30 days; of a client secret only Entra knows, unless an admin typed it."""
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


def credential_state(connection: Connection, now: datetime) -> CredentialState:
    """How the connection's credential stands at `now`."""
    if not connection.has_credential:
        return CredentialState.MISSING
    ends = connection.credential_expires_at
    if ends is None:
        return CredentialState.VALID
    return next((state for state, ahead in _AHEAD.items() if ends <= now + ahead), CredentialState.VALID)


async def count_warnings(conn: AsyncConnection, now: datetime) -> dict[CredentialState, int]:
    """Connections of every tenant whose credential has ended or soon ends, by state; paused ones are left out."""
    ends = _c.credential_expires_at
    state = case(*((ends <= now + ahead, name.value) for name, ahead in _AHEAD.items()))
    query = (
        select(state, func.count())
        .where(ends <= now + max(_AHEAD.values()), _c.credential.is_not(None), _c.paused_at.is_(None))
        .group_by(state)
    )
    found = {CredentialState(name): count for name, count in await conn.execute(query)}
    return {name: found.get(name, 0) for name in _AHEAD}


async def note_end(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, ends: datetime | None
) -> None:
    """Notes when the credential ends that a rotated file now holds; it is no new credential to be wary of."""
    await conn.execute(
        update(tables.connections)
        .where(_c.tenant_id == tenant_id, _c.id == connection_id)
        .values(credential_expires_at=ends)
    )
