"""Looks at each use whether a connection's credential is about to end, and says so once per stage."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from store import credential_end
from store.credential_end import credential_state
from store.database import Database
from store.records import Connection

log = structlog.get_logger(__name__)


async def watch_end(db: Database, connection: Connection, ends: datetime | None, now: datetime) -> None:
    """Notes an end that a rotated file has moved; warns where a stage was reached since the last cycle.

    The stages are 30, 7 and 1 days ahead, and the end itself: a log line each, not one per cycle.
    """
    if ends != connection.credential_expires_at:
        await db.write(lambda conn: credential_end.note_end(conn, connection.tenant_id, connection.id, ends))
    looked_at = replace(connection, credential_expires_at=ends)
    state = credential_state(looked_at, now)
    last = connection.last_cycle_at
    if state.is_warning and (last is None or credential_state(looked_at, last) is not state):
        log.warning(
            "connection.credential_ends",
            connection=connection.id,
            state=state,
            ends=ends.isoformat() if ends else None,
            remedy="leaver connection set CONNECTION with a new --client-secret or --certificate",
        )
