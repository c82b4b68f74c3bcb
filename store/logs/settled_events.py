"""Find through which event a reader may read on without missing one.

PostgreSQL draws ids before transactions end, so an event may be committed after one
with a greater id. An id is settled when every transaction that could have drawn it or
a lower one has ended. That is known thus: read the last id drawn, then take a
transaction number; when the oldest transaction that runs has a greater number, every
event up to that id is visible or was rolled back. A transaction has its number before
it draws an id (migration v0001), so none that drew one is overlooked. A number has to
be taken: a snapshot's `xmax` follows the last transaction that ended, and says nothing
of younger ones that run. No row is written for it, and writers wait for no one. SQLite
has one writer at a time, and no such gap.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from sqlalchemy import func, select, text

from store import tables
from store.database import Database

LOOK_EVERY_S = 0.02
MOST_CANDIDATES = 64

_LAST_DRAWN = text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_id_seq")
_NEXT_NUMBER = text("SELECT pg_current_xact_id()::text::bigint")
_OLDEST_RUNNING = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
_LAST_WRITTEN = select(func.coalesce(func.max(tables.events.c.id), 0))


@dataclass(slots=True, eq=False)
class SettledEvents:
    """The settled end of the events, as one process knows it; it never goes back."""

    db: Database
    through: int = 0
    """Every event with an id up to this one can be read."""
    drawn: int = 0
    """The greatest id that was drawn when looked at last."""
    _candidates: deque[tuple[int, int]] = field(default_factory=deque)
    """An id that was drawn, and a number that was taken after it."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> int:
        """Look once, and return the settled id."""
        async with self._lock:
            if self.db.dialect == "sqlite":
                async with self.db.reading(single_statement=True) as conn:
                    self.drawn = self.through = (await conn.execute(_LAST_WRITTEN)).scalar_one()
                return self.through
            # Statements with a snapshot each, in this order.
            async with self.db.reading(single_statement=True) as conn:
                self.drawn = (await conn.execute(_LAST_DRAWN)).scalar_one()
                if self.drawn > self._newest_candidate() and len(self._candidates) < MOST_CANDIDATES:
                    number = (await conn.execute(_NEXT_NUMBER)).scalar_one()
                    self._candidates.append((self.drawn, number))
                if self._candidates:
                    self._note((await conn.execute(_OLDEST_RUNNING)).scalar_one())
            return self.through

    async def settle(self, timeout_s: float) -> int:
        """Wait until what was drawn by now is settled; return the settled id, which
        is lower where a transaction takes longer than that.
        """
        through = await self.look()
        wanted = self.drawn
        ends_at = asyncio.get_running_loop().time() + timeout_s
        while through < wanted and asyncio.get_running_loop().time() < ends_at:
            await asyncio.sleep(LOOK_EVERY_S)
            through = await self.look()
        return through

    def _note(self, oldest: int) -> None:
        while self._candidates and self._candidates[0][1] <= oldest:
            self.through = max(self.through, self._candidates.popleft()[0])

    def _newest_candidate(self) -> int:
        return self._candidates[-1][0] if self._candidates else self.through


_known: WeakKeyDictionary[Database, SettledEvents] = WeakKeyDictionary()


def settled_events(db: Database) -> SettledEvents:
    """Return what this process knows of a database's events."""
    found = _known.get(db)
    if found is None:
        found = _known[db] = SettledEvents(db)
    return found
