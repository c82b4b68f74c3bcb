"""Note what decides later which person an account stands for: when its holder was last
seen, and when the push found it.

A note is no change of the account: its version stays, and nothing is logged.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, exists, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.engine.prepared_statements import run_many
from store.records import ConnectionId, TenantId, UserId
from store.sync import cycles

MOST_IDS = 500

_c = tables.users.c
_NOTE_MISSING = (
    update(tables.users)
    .where(
        _c.tenant_id == bindparam("noted_tenant"),
        _c.connection_id == bindparam("noted_connection"),
        _c.id.in_(bindparam("ids", expanding=True)),
        _c.holder_seen_at.is_(None),
    )
    .values(holder_seen_at=bindparam("seen_at"))
)


_NOTE_FOUND = (
    update(tables.users)
    .where(
        _c.tenant_id == bindparam("noted_tenant"),
        _c.connection_id == bindparam("noted_connection"),
        _c.id == bindparam("noted_id"),
    )
    .values(push_found_at=bindparam("found_at"))
)


async def note_found(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, user_id: UserId, now: datetime
) -> None:
    """Note that a match query of the push was answered with exactly this account.

    Entra may anchor another person to it and send nothing (a silent match).
    """
    scope = {"noted_tenant": tenant_id, "noted_connection": connection_id}
    await run_many(conn, _NOTE_FOUND, [{**scope, "noted_id": user_id, "found_at": now}])


def is_note_current() -> ColumnElement[bool]:
    """Return what is true of a user whose note of a match is later than the begin of
    every cycle of `:connection_id`.

    Notes are compared with the begin of cycles alone: one more would change no answer.
    A later cycle sees the holder after this match query.
    """
    begun = tables.cycles.c
    since = exists().where(
        begun.connection_id == bindparam("connection_id"), begun.started_at >= _c.push_found_at
    )
    return and_(_c.push_found_at.is_not(None), ~since)


async def note_missing(
    conn: AsyncConnection, tenant_id: TenantId, connection_id: ConnectionId, user_ids: Collection[str]
) -> None:
    """Note for these accounts that their holder was last seen in the last complete
    reading.

    The first note counts. To be called before the present cycle is recorded as
    complete.
    """
    seen_at = await cycles.last_read_at(conn, tenant_id, connection_id) if user_ids else None
    if seen_at is None:
        return
    scope = {"noted_tenant": tenant_id, "noted_connection": connection_id, "seen_at": seen_at}
    ids = sorted(user_ids)
    for start in range(0, len(ids), MOST_IDS):
        await conn.execute(_NOTE_MISSING, {**scope, "ids": ids[start : start + MOST_IDS]})
