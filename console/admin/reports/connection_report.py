"""What the overview of one connection shows: standing, numbers, trend, the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from console.admin.actor import Actor
from console.admin.references import find_connection
from console.admin.reports.status import ConnectionStatus, status_of
from console.admin.services import Services
from store.directory import browsing, groups, receipts
from store.keys import utc_now
from store.logs import recent_entries
from store.logs.recent_entries import LogFilter
from store.records import Cycle, CycleKind, LogEntry
from store.sync import cycles
from store.sync.cycles import Progress
from store.sync.revocations import TimesToRevoke, times_to_revoke
from store.tenancy import standings, tenants
from store.tenancy.standings import Standing
from worker.locks.worker_presence import is_worker_alive

SHOWN_CYCLES = 30
SHOWN_CHANGES = 8
MOST_RECEIPTS = 100


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """A connection at this moment."""

    status: ConnectionStatus
    at: datetime
    users: Mapping[str, int]
    """By state, each up to `browsing.MOST_COUNTED` + 1."""
    groups: int
    running: tuple[Cycle, Progress | None] | None
    last_complete: Cycle | None
    trend: Sequence[Cycle]
    """The last full cycles that compared, the oldest first."""
    changes: Sequence[LogEntry]
    times: TimesToRevoke | None
    unacknowledged: int
    """Receipts, up to `MOST_RECEIPTS`."""
    has_worker: bool


async def report(services: Services, actor: Actor, connection: str) -> ConnectionReport:
    """Return what is known of a connection; Graph is not asked.

    Raises `UnknownReference`.
    """
    now = utc_now()
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        of = found.tenant_id, found.id
        tenant = await tenants.get(conn, found.tenant_id)
        standing = (await standings.load(conn, found.tenant_id, [found.id])).get(found.id, Standing())
        full = await cycles.page(conn, *of, kind=CycleKind.FULL, on_demand=False, limit=SHOWN_CYCLES)
        log = await recent_entries.search(conn, *of, LogFilter(hides_skipped=True), limit=SHOWN_CHANGES)
        waiting = await receipts.unacknowledged(
            conn, found.tenant_id, now, connection_id=found.id, limit=MOST_RECEIPTS
        )
        return ConnectionReport(
            status_of(tenant.slug, found, standing, now),
            now,
            await browsing.count_states(conn, *of),
            await groups.count(conn, *of),
            await cycles.running(conn, *of),
            await cycles.last(conn, *of, complete=True),
            [cycle for cycle in reversed(full) if cycle.complete is not None],
            log.entries,
            await times_to_revoke(conn, *of, now),
            sum(bool(receipt.ended) for receipt in waiting),
            await is_worker_alive(services.settings.database_url),
        )


async def running(services: Services, actor: Actor, connection: str) -> tuple[Cycle, Progress | None] | None:
    """Return the cycle that runs now; None between two. Raises `UnknownReference`."""
    async with services.db.reading(single_statement=True) as conn:
        found = await find_connection(conn, actor, connection)
        return await cycles.running(conn, found.tenant_id, found.id)
