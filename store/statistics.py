"""Tell the planner how large the tables have become.

PostgreSQL's autovacuum looks once a minute, and a first cycle fills empty tables in
less. New statistics also end plans that connections have kept since the tables were
small.
"""

from __future__ import annotations

from collections.abc import Sequence

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
