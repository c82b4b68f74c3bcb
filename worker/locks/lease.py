"""Hold a connection's lease: one process at a time works on a connection.

The lease is a row of our own database with a fencing token. While work goes on it is
renewed. On-demand work asks for it (`wanted`), and a cycle yields at its next safe
point. Every write of the worker names the token, so that exclusion never rests on
clocks: a holder that slept through its lease is fenced out. PostgreSQL's clock decides
when a lease has run out, not the clocks of the machines that share it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from config.settings import Settings
from store import errors as store_errors
from store.database import Database
from store.records import ConnectionId, Lease, TenantId
from store.sync import leases
from worker.errors import TryAgain
from worker.locks import local_waiters, worker_presence
from worker.locks.hold import Hold, LeaseSettings

BEAT_S = 0.25
"""How often a holder checks whether the lease is wanted.

On-demand work starts within a second behind a running cycle.
"""

WORKER = "worker"
"""How a holder's name begins where it is a worker: `worker:{process id}`."""
COMMAND = "command"
"""Prefix of the holder's name for a command or the console.

Their death is not noticed, so their lease has to run out.
"""


log = structlog.get_logger(__name__)


class LeaseHeld(TryAgain):
    """Another run holds the connection; `held` is its lease."""

    def __init__(self, held: Lease) -> None:
        who, _, number = held.holder.partition(":")
        super().__init__(
            f"Another run works on this connection: {who} {number[:8]} holds it until {held.until:%H:%M:%S} UTC and "
            "longer while it lives; if that process was killed, the connection is free from then on.",
            delay_s=BEAT_S,
        )
        self.held = held


def for_a_command(settings: Settings) -> LeaseSettings:
    """Return how a process that is no worker holds a lease (command, console).

    If no worker runs at all, the leases that workers left behind need not run out.
    """

    async def is_gone(holder: str) -> bool:
        return holder.startswith(f"{WORKER}:") and not await worker_presence.is_worker_alive(
            settings.database_url
        )

    return LeaseSettings(f"{COMMAND}:{uuid.uuid4().hex}", settings.lease_s, is_gone=is_gone)


@asynccontextmanager
async def holding(
    db: Database,
    clock: Callable[[], datetime],
    tenant_id: TenantId,
    connection_id: ConnectionId,
    settings: LeaseSettings,
) -> AsyncIterator[Hold]:
    """Hold the connection's lease while the body runs.

    Raises `LeaseHeld` if it is not free in time.
    """
    lease = await _acquire(db, clock, tenant_id, connection_id, settings)
    hold = Hold(lease, settings)
    local_waiters.note_held(db, hold)
    ended = asyncio.Event()
    beating = asyncio.create_task(_renew_periodically(db, clock, tenant_id, hold, ended), name="lease beat")
    try:
        yield hold
    finally:
        # Signalled, not cancelled: a task that is cancelled inside an aiosqlite
        # transaction leaves the database locked.
        ended.set()
        try:
            await beating
            with suppress(store_errors.TryAgain):  # it runs out by itself
                await db.write(lambda conn: leases.release(conn, tenant_id, hold.lease))
        finally:
            local_waiters.note_ended(db, hold)


async def _acquire(
    db: Database,
    clock: Callable[[], datetime],
    tenant_id: TenantId,
    connection_id: ConnectionId,
    settings: LeaseSettings,
) -> Lease:
    deadline = time.monotonic() + settings.wait_s
    is_urgent = not settings.gives_way
    with local_waiters.queue_for_lease(db, connection_id, is_urgent=is_urgent):
        # Most leases are free: the first attempt does not look before.
        is_next = is_urgent or not local_waiters.is_urgently_wanted(db, connection_id)
        if is_next and (lease := await _take(db, clock(), tenant_id, connection_id, settings)):
            return lease
        while True:
            held = await held_lease(db, clock(), tenant_id, connection_id)
            if held is None or await _is_released(db, tenant_id, held, settings):
                is_next = is_urgent or not local_waiters.is_urgently_wanted(db, connection_id)
                if is_next and (lease := await _take(db, clock(), tenant_id, connection_id, settings)):
                    return lease
            elif time.monotonic() >= deadline:
                raise LeaseHeld(held)
            elif is_urgent and not local_waiters.request_yield(db, held) and not held.wanted:
                await db.write(lambda conn: leases.request_yield(conn, tenant_id, connection_id))
            await local_waiters.wait_for_change(db, connection_id)


async def held_lease(
    db: Database, now: datetime, tenant_id: TenantId, connection_id: ConnectionId
) -> Lease | None:
    """Return the lease if it is held and has not run out."""
    async with db.reading(single_statement=True) as conn:
        lease = await leases.get(conn, tenant_id, connection_id)
        if lease is None or not lease.holder:
            return None
        return lease if lease.until > await leases.database_time(conn, now) else None


async def _is_released(db: Database, tenant_id: TenantId, held: Lease, settings: LeaseSettings) -> bool:
    """Release the lease of a holder that is known to be dead. Return whether it was."""
    if settings.is_gone is None or not await settings.is_gone(held.holder):
        return False
    log.info("lease.broken", connection=held.connection_id, holder=held.holder)
    await db.write(lambda conn: leases.release(conn, tenant_id, held))
    return True


async def _take(
    db: Database, now: datetime, tenant_id: TenantId, connection_id: ConnectionId, settings: LeaseSettings
) -> Lease | None:
    async def work(conn: AsyncConnection) -> Lease | None:
        time_ = await leases.database_time(conn, now)
        return await leases.acquire(
            conn, tenant_id, connection_id, settings.holder, time_, settings.duration_s
        )

    return await db.write(work)


async def _renew(db: Database, now: datetime, tenant_id: TenantId, hold: Hold) -> Lease:
    async def work(conn: AsyncConnection) -> Lease:
        time_ = await leases.database_time(conn, now)
        return await leases.renew(conn, tenant_id, hold.lease, time_, hold.settings.duration_s)

    return await db.write(work)


async def _renew_periodically(
    db: Database,
    clock: Callable[[], datetime],
    tenant_id: TenantId,
    hold: Hold,
    ended: asyncio.Event,
) -> None:
    """Read the lease at every beat and renew it after a third of its duration."""
    renewed_at, duration_s = time.monotonic(), hold.settings.duration_s
    while not hold.is_lost and not await _ends_within(ended, BEAT_S):
        try:
            if time.monotonic() - renewed_at >= duration_s / 3:
                hold.see(await _renew(db, clock(), tenant_id, hold))
                renewed_at = time.monotonic()
            else:
                async with db.reading(single_statement=True) as conn:
                    hold.see(await leases.get(conn, tenant_id, hold.lease.connection_id))
        except store_errors.FencedOut:
            hold.see(None)
        except store_errors.StoreError:
            continue  # the database is away, or full; whether the lease was lost meanwhile is seen when it is back


async def _ends_within(ended: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)
    return ended.is_set()
