"""Report the progress of a cycle at every page and batch; save it at most twice a
second, and of a run shorter than that never.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from store.database import Database
from store.errors import StoreError
from store.records import CycleId, TenantId
from store.sync import cycles
from store.sync.cycles import Progress

WRITE_EVERY_S = 0.5
MEASURABLE_S = 0.2
"""A rate over less time than this says nothing."""

Watch: TypeAlias = Callable[[Progress], None]
"""Called with the progress in the process that runs the cycle."""

ProgressReporter: TypeAlias = Callable[[str, int, int | None], None]
"""Called with phase, done, and total if it is known."""


def ignore_progress(_progress: Progress) -> None:
    """Ignore the progress."""


@dataclass(slots=True)
class ProgressRate:
    """The rate of a phase since its first report."""

    phase: str = ""
    began_at: float = 0.0
    done_then: int = 0

    def progress(self, phase: str, done: int, total: int | None, now: float) -> Progress:
        """Return the progress with rate and time left; `now` by the monotonic clock."""
        if phase != self.phase or done < self.done_then:
            self.phase, self.began_at, self.done_then = phase, now, done
        elapsed = now - self.began_at
        rate = round((done - self.done_then) / elapsed, 1) if elapsed >= MEASURABLE_S else None
        left = round(max(total - done, 0) / rate, 1) if rate and total is not None else None
        return Progress(phase, done, total, rate_per_s=rate, left_s=left)


@asynccontextmanager
async def report_progress(
    db: Database, tenant_id: TenantId, cycle_id: CycleId, watch: Watch
) -> AsyncIterator[ProgressReporter]:
    """Yield a function that reports progress; the last report is saved while the body
    runs.
    """
    updated = asyncio.Event()
    latest: list[Progress] = []
    rate = ProgressRate()

    def report(phase: str, done: int, total: int | None) -> None:
        latest[:] = [rate.progress(phase, done, total, time.monotonic())]
        watch(latest[0])
        updated.set()

    async def write() -> None:
        while not ended.is_set():
            await updated.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), WRITE_EVERY_S)
            updated.clear()
            if latest:
                work = partial(
                    cycles.save_progress, tenant_id=tenant_id, cycle_id=cycle_id, how_far=latest[0]
                )
                with suppress(StoreError):  # a bar that stands still is no reason to fail
                    await db.write(work)

    ended = asyncio.Event()
    writing = asyncio.create_task(write(), name="cycle progress")
    try:
        yield report
    finally:
        # Ended by an event, not cancelled: a task cancelled inside an aiosqlite
        # transaction leaves the database locked.
        latest.clear()
        ended.set()
        updated.set()
        await writing
