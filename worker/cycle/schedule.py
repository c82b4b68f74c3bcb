"""Compute when a connection's next cycle is due. Pure: `now` comes in.

Each connection has its own beat: a phase, given by its id, on a grid of its interval.
Ten thousand connections made in the same second therefore spread over the whole
interval by themselves, in every worker and after every restart, and two workers never
disagree about a slot.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from store.records import Connection, ConnectionId

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
SHORTEST_GAP = 0.25
"""Share of the interval: the next cycle does not follow at once after a manual one."""
EARLIEST_FULL = 0.25
"""Share of the period between full cycles."""
FIRST_RETRY = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(days=1)
"""What the other side may ask for at most: Graph has asked for hours."""


def slot(connection: Connection, now: datetime) -> str:
    """Return the name of the cycle that is due now.

    It stays the same until the connection is scheduled anew.
    """
    return slot_of(connection.next_due_at or now)


def slot_of(at: datetime) -> str:
    """Return a time as a slot; later slots are greater texts."""
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def next_due(connection: Connection, now: datetime) -> datetime:
    """Return the next beat, at least a quarter of the interval from now."""
    interval = timedelta(minutes=connection.interval_minutes)
    start = EPOCH + interval * _phase(connection.id)
    earliest = now + interval * SHORTEST_GAP
    return start + interval * (-((start - earliest) // interval))


def full_due(connection: Connection, last: datetime) -> datetime:
    """Return when everything is to be read again.

    That is up to a quarter earlier than the policy says, for each connection by its own
    share: connections that were made together do not read everything together from then
    on.
    """
    period = timedelta(hours=connection.policy.full_every_hours)
    return last + period * (1 - _phase(connection.id) * EARLIEST_FULL)


def retry_at(connection: Connection, now: datetime, delay_s: float) -> datetime | None:
    """Return when to try again after the failure that is already counted in
    `connection`.

    A passing fault is tried again after the delay the other side asked for, a minute at
    least, doubled each time; not later than the store's own back-off, unless the other
    side asked for more. None: a quarantined connection keeps that back-off.
    """
    if connection.quarantined_at is not None:
        return None
    patience = FIRST_RETRY * (1 << max(connection.consecutive_failures - 1, 0))
    asked = now + min(timedelta(seconds=delay_s), LONGEST_PAUSE)
    at = max(now + patience, asked)
    return at if connection.next_due_at is None else max(asked, min(at, connection.next_due_at))


def _phase(connection_id: ConnectionId) -> float:
    """Return a number between 0 and 1 that is always the same for one connection."""
    digest = hashlib.sha256(connection_id.encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
