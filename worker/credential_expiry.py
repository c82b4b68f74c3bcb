"""Warn once per stage that a connection's credential is about to expire."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database import Database
from store.logs import events
from store.records import Connection, JsonValue
from store.tenancy import credential_expiry
from store.tenancy.credential_expiry import credential_state

if TYPE_CHECKING:
    from worker.graph.auth.credentials import Credential
    from worker.graph.http.client import GraphClient

log = structlog.get_logger(__name__)


async def warn_before_expiry(
    db: Database, connection: Connection, credential: Credential, now: datetime
) -> None:
    """Save an expiry that a rotated file has moved; warn if a stage was reached.

    The stages are 30, 7 and 1 days ahead, and the expiry itself: a log line each since
    the last cycle, not one per cycle.
    """
    ends = credential.expires_at or connection.credential_expires_at
    await _note(db, connection, ends)
    current = replace(connection, credential_expires_at=ends)
    state = credential_state(current, now)
    last = connection.last_cycle_at
    if state.is_warning and (last is None or credential_state(current, last) is not state):
        await db.write(lambda conn: _tell(conn, connection, state.value, ends, now))
        log.warning(
            "connection.credential_ends",
            connection=connection.id,
            state=state,
            ends=ends.isoformat() if ends else None,
            remedy="leaver connection set CONNECTION with a new --client-secret or --certificate",
        )


async def _tell(
    conn: AsyncConnection, connection: Connection, state: str, ends: datetime | None, now: datetime
) -> None:
    payload: dict[str, JsonValue] = {"state": state, "endsAt": ends.isoformat() if ends else None}
    await events.add(
        *(conn, connection.tenant_id, connection.id, "credential.ending", connection.id, payload), now=now
    )


async def learn_secret_expiry(
    db: Database, connection: Connection, credential: Credential, graph: GraphClient, now: datetime
) -> None:
    """Ask Graph once a day when the client secret expires, if that is not known.

    A secret in a file may have been replaced, so its expiry is never known for good.
    """
    is_given = credential.secret_expires is not None
    is_known = connection.credential_expires_at is not None and not credential.secret_file
    secret = credential.in_hand().secret
    if (
        is_given
        or is_known
        or not secret
        or not connection.client_id
        or not _is_first_of_day(connection, now)
    ):
        return
    from worker.graph.read.application import read_end_of_secret

    ends = await read_end_of_secret(graph, connection.client_id, secret)
    await _note(db, connection, ends or connection.credential_expires_at)


def _is_first_of_day(connection: Connection, now: datetime) -> bool:
    """Return whether this cycle is the first since the day began or the credential
    changed.
    """
    last, changed = connection.last_cycle_at, connection.credential_changed_at
    if last is None or (changed is not None and changed >= last):
        return True
    return last.date() != now.date()


async def _note(db: Database, connection: Connection, ends: datetime | None) -> None:
    if ends != connection.credential_expires_at:
        await db.write(
            lambda conn: credential_expiry.note_end(conn, connection.tenant_id, connection.id, ends)
        )
