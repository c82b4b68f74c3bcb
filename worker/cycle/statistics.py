"""When a cycle has the database look again at tables that it fills."""

from __future__ import annotations

from dataclasses import dataclass

from store import statistics
from store.database import Database

FIRST_AFTER = 2_000
"""Changes before the first time; smaller cycles leave it to the database."""
GROWTH = 8
"""Each further time comes after so many times as many changes."""


@dataclass(slots=True)
class StatisticsRefresh:
    """Refreshes statistics while a cycle writes, and when it has written."""

    database: Database
    due_at: int = FIRST_AFTER

    async def after(self, done: int) -> None:
        """Refresh if so many changes of this cycle are due for it."""
        if done < self.due_at:
            return
        await statistics.refresh(self.database, statistics.LOOKED_UP)
        self.due_at = done * GROWTH

    async def finish(self, done: int) -> None:
        """Refresh at the end of a cycle that wrote much: report and log too."""
        if done >= FIRST_AFTER:
            await statistics.refresh(self.database)
