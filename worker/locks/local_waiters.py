"""Signal between holders and waiters of leases inside this process.

A shortcut only: the lease in the database counts, and a waiter without a signal reads
it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

from store.database import Database
from store.records import ConnectionId, Lease

if TYPE_CHECKING:
    from worker.locks.hold import Hold

ASK_EVERY_S = 0.2
ASK_HERE_EVERY_S = 1.0
"""The same if the holder is in this process: it signals its end."""

WaitKey: TypeAlias = tuple[Database, ConnectionId]

_held: dict[WaitKey, Hold] = {}
_urgent: Counter[WaitKey] = Counter()
"""How much on-demand work waits."""


def note_held(db: Database, hold: Hold) -> None:
    """Record that this process has the lease."""
    _held[db, hold.lease.connection_id] = hold


def note_ended(db: Database, hold: Hold) -> None:
    """Record that this process has given the lease back, and wake local waiters."""
    key = (db, hold.lease.connection_id)
    if _held.get(key) is hold:
        del _held[key]
    hold.ended.set()


@contextmanager
def queue_for_lease(db: Database, connection_id: ConnectionId, *, is_urgent: bool) -> Iterator[None]:
    """Count as a waiter for a lease while the body runs."""
    _urgent[db, connection_id] += is_urgent
    try:
        yield
    finally:
        _urgent[db, connection_id] -= is_urgent
        if not _urgent[db, connection_id]:
            del _urgent[db, connection_id]


def is_urgently_wanted(db: Database, connection_id: ConnectionId) -> bool:
    """Return whether on-demand work waits here for this lease.

    A cycle that waits too lets it go first.
    """
    return _urgent[db, connection_id] > 0


def request_yield(db: Database, held: Lease) -> bool:
    """Ask a local holder to yield; return False if another process holds it."""
    hold = _held.get((db, held.connection_id))
    if hold is None or hold.fence != held.fence:
        return False
    hold.request_yield()
    return True


async def wait_for_change(db: Database, connection_id: ConnectionId) -> None:
    """Wait until the local holder has ended, or a moment has gone by."""
    hold = _held.get((db, connection_id))
    if hold is None:
        await asyncio.sleep(ASK_EVERY_S)
        return
    with suppress(TimeoutError):
        await asyncio.wait_for(hold.ended.wait(), ASK_HERE_EVERY_S)
