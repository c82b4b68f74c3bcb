"""Tell the planner how large the tables have become, while a cycle fills them too.

PostgreSQL's autovacuum looks once a minute, and a first cycle fills empty tables in
less. New statistics also end plans that connections have kept since the tables were
small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.database import Database
from store.engine.prepared_statements import command

LOOKED_UP = (tables.users, tables.groups, tables.memberships)
"""Tables in which each batch of a cycle looks up rows."""
FILLED = (*LOOKED_UP, tables.provisioning_log, tables.events, tables.drift_findings)
"""Tables that cycles fill."""
SAMPLED_ROWS = 400
"""Entries of an index that SQLite looks at; the default is all of them."""


async def refresh(database: Database, filled: Sequence[Table] = FILLED) -> None:
    """Refresh the statistics of tables.

    On PostgreSQL it takes some tenths of a second and blocks neither reads nor writes.
    """
    names = [f'"{table.name}"' for table in filled]
    if database.dialect == "postgresql":
        # Where another process analyzes a table already, that is enough.
        async with database.reading(single_statement=True) as conn:
            await command(conn, f"ANALYZE (SKIP_LOCKED) {', '.join(names)}")
        return

    async def analyze(conn: AsyncConnection) -> None:
        await command(conn, f"PRAGMA analysis_limit={SAMPLED_ROWS}")
        for name in names:
            await command(conn, f"ANALYZE {name}")

    await database.write(analyze)


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
        await refresh(self.database, LOOKED_UP)
        self.due_at = done * GROWTH

    async def finish(self, done: int) -> None:
        """Refresh at the end of a cycle that wrote much: report and log too."""
        if done >= FIRST_AFTER:
            await refresh(self.database)
