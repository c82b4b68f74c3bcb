"""The planner learns of the rows that a cycle writes."""

from __future__ import annotations

from sqlalchemy import text

from store.database import Database
from store.records import Connection
from store.statistics import FIRST_AFTER, StatisticsRefresh
from tests.builders.store_rows import create_user


async def test_a_small_cycle_leaves_statistics_to_the_database(
    database: Database, contoso: Connection
) -> None:
    refresh = StatisticsRefresh(database)
    await refresh.after(FIRST_AFTER - 1)
    await refresh.finish(FIRST_AFTER - 1)
    assert not await _knows(database, "users")


async def test_a_large_cycle_refreshes_statistics_while_it_writes(
    database: Database, contoso: Connection
) -> None:
    """And puts the next time off: each costs some tenths of a second."""
    await create_user(database, contoso, "ada")
    refresh = StatisticsRefresh(database)
    await refresh.after(FIRST_AFTER)
    assert await _knows(database, "users")
    assert not await _knows(database, "events")
    assert refresh.due_at > 4 * FIRST_AFTER


async def test_a_large_cycle_refreshes_statistics_at_its_end(database: Database, contoso: Connection) -> None:
    await create_user(database, contoso, "ada")
    await StatisticsRefresh(database).finish(FIRST_AFTER)
    assert await _knows(database, "events")


async def _knows(database: Database, table: str) -> bool:
    """Return whether the planner has statistics of a table."""
    if database.dialect == "postgresql":
        query = f"SELECT reltuples >= 0 FROM pg_class WHERE relname = '{table}'"  # noqa: S608
    else:
        query = f"SELECT count(*) FROM sqlite_stat1 WHERE tbl = '{table}'"  # noqa: S608
    async with database.reading() as conn:
        made = database.dialect == "postgresql" or await conn.scalar(
            text("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'")
        )
        return bool(made and await conn.scalar(text(query)))
