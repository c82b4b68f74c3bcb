"""When a connection's next cycle is due. Pure: `now` comes in, nothing is read or written.

Each connection has its own beat: a phase, given by its id, on a grid of its interval. Ten thousand
connections made in the same second therefore spread over the whole interval by themselves, in every worker
and after every restart, and two workers never disagree about a slot.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from store.records import Connection, ConnectionId

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
SHORTEST_GAP = 0.25
"""Of the interval: a cycle that ran off the beat (a manual sync) is not followed by the next one at once."""
EARLIEST_FULL = 0.25
"""Of the period between full cycles."""
FIRST_RETRY = timedelta(minutes=1)


def slot(connection: Connection, now: datetime) -> str:
    """The name of the cycle that is due now; the same until the connection is scheduled anew."""
    return slot_of(connection.next_due_at or now)


def slot_of(at: datetime) -> str:
    """A time as a slot; later slots are greater texts."""
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def next_due(connection: Connection, now: datetime) -> datetime:
    """The next beat, at least a quarter of the interval from now."""
    interval = timedelta(minutes=connection.interval_minutes)
    start = EPOCH + interval * _phase(connection.id)
    earliest = now + interval * SHORTEST_GAP
    return start + interval * (-((start - earliest) // interval))


def full_due(connection: Connection, last: datetime) -> datetime:
    """When everything is to be read again: up to a quarter earlier than the policy says, for each its own part.

    Connections that were made together do not read everything together ever after.
    """
    period = timedelta(hours=connection.policy.full_every_hours)
    return last + period * (1 - _phase(connection.id) * EARLIEST_FULL)


def retry_at(connection: Connection, now: datetime, delay_s: float) -> datetime | None:
    """When to try again after the failure that is already counted in `connection`.

    A passing fault is tried again after what the other side asked for, a minute at least, doubled each time;
    never later than the store's own back-off. None: a quarantined connection keeps that back-off.
    """
    if connection.quarantined_at is not None:
        return None
    patience = FIRST_RETRY * (1 << max(connection.consecutive_failures - 1, 0))
    at = now + max(patience, timedelta(seconds=delay_s))
    return at if connection.next_due_at is None else min(at, connection.next_due_at)


def _phase(connection_id: ConnectionId) -> float:
    """Between 0 and 1, always the same for one connection."""
    digest = hashlib.sha256(connection_id.encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
