"""Time that passes in no time: everything written down becomes older, by all tables' columns of times.

For the worker, which goes by the machine's clock, that is the same as waiting.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, literal_column, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.database import Database
from store.tables.base import UtcDateTime


async def let_pass(db: Database, seconds: int) -> None:
    """Moves every stored time back; a negative number is a clock that was set back."""

    async def work(conn: AsyncConnection) -> None:
        for table in tables.Base.metadata.tables.values():
            times = [column for column in table.c if isinstance(column.type, UtcDateTime)]
            if times:
                moved = {column.name: _earlier(column, seconds, db.dialect) for column in times}
                await conn.execute(update(table).values(moved))

    await db.write(work)


def _earlier(column: ColumnElement[object], seconds: int, dialect: str) -> ColumnElement[object]:
    if dialect == "postgresql":
        return column - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    # Fixed-width text: the whole seconds are moved, the fraction and the zone stay.
    whole = func.strftime("%Y-%m-%dT%H:%M:%S", column, f"{-seconds} seconds")
    return whole.op("||")(func.substr(column, 20, literal_column("99")))
