"""Answer in one indexed read whether a session is live, and how old the proof is that
its person is entitled.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.directory.sessions import good_for_its_account, hash_secret
from store.engine.prepared_statements import fetch_tuples
from store.keys import utc_now
from store.records import ConnectionId, SessionId, TenantId, UserId

_s, _u, _c = tables.sessions.c, tables.users.c, tables.connections.c
_CHECK = good_for_its_account(
    [
        *(_s.id, _s.tenant_id, _s.user_id, _u.connection_id, _u.user_name, _u.entra_object_id),
        *(_s.holder_number, _s.period, _s.purpose, _s.client, _s.issuer),
        *(_s.created_at, _s.expires_at, _s.idle_until, _s.last_seen_at, _s.proved_at),
        _c.proved_at.label("cycle_proved_at"),
        _u.unread_write_at,
    ]
).join(tables.connections, (_c.id == _u.connection_id) & (_c.tenant_id == _u.tenant_id))


class LiveSession(NamedTuple):
    """A live session, its account, and the proof of entitlement.

    A tuple: it is made for each question, and a frozen dataclass takes as long to make
    as to read the row.
    """

    id: SessionId
    tenant_id: TenantId
    user_id: UserId
    connection_id: ConnectionId
    user_name: str
    entra_object_id: str | None
    holder_number: int
    period: int
    purpose: str
    client: str | None
    issuer: str | None
    created_at: datetime
    expires_at: datetime
    idle_until: datetime
    last_seen_at: datetime
    proved_at: datetime | None
    """The latest moment for which Graph said that the person is entitled; None where it
    never did.
    """

    @property
    def ends_at(self) -> datetime:
        """The end of the session if it is not used any more."""
        return min(self.expires_at, self.idle_until)


async def check(conn: AsyncConnection, secret: str, *, now: datetime | None = None) -> LiveSession | None:
    """Return the live session with this secret, or None. The secret decides the
    tenant.

    Whether it has run out is seen in the row: a moment takes as long to pass as to
    compare ten times.
    """
    rows = await fetch_tuples(conn, _CHECK, {"secret_hash": hash_secret(secret)})
    found = _to_live_session(rows[0]) if rows else None
    return found if found is not None and found.ends_at > (now or utc_now()) else None


async def note_proof(
    conn: AsyncConnection,
    tenant_id: TenantId,
    user_id: UserId,
    *,
    holder_number: int,
    period: int,
    proved_at: datetime,
) -> int:
    """Note in the sessions of a person that Graph was asked and said yes.

    Those of another holder or period are left alone.
    """
    noted = await conn.execute(
        update(tables.sessions)
        .where(
            _s.tenant_id == tenant_id,
            _s.user_id == user_id,
            _s.holder_number == holder_number,
            _s.period == period,
            _s.revoked_at.is_(None),
        )
        .values(proved_at=proved_at)
    )
    return noted.rowcount


def _to_live_session(row: Sequence[Any]) -> LiveSession:
    """Read the columns of `_CHECK`: the fields in their order, and two more."""
    *moments, proved_at, by_cycle, written_at = map(_moment, row[_MOMENTS:])
    # A cycle proves only those whose person in Entra is known, and passes over accounts
    # that were written after its reading began (invariant I7).
    if by_cycle and (row[_OBJECT_ID] is None or (written_at and written_at > by_cycle)):
        by_cycle = None
    proof = max(filter(None, (proved_at, by_cycle)), default=None)
    fields: list[Any] = [*row[:_MOMENTS], *moments, proof]
    return LiveSession(*fields)


_OBJECT_ID, _MOMENTS = 5, 11
"""Where the object id stands in `_CHECK`, and where its moments begin."""


def _moment(value: datetime | str | None) -> datetime | None:
    """Return a moment of the driver's: SQLite has text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
