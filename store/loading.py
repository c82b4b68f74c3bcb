"""Reading very many rows: in parts, so that neither memory nor the event loop is filled with them."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncConnection

ROWS_IN_A_PART = 5000

T = TypeVar("T")


async def in_parts(
    conn: AsyncConnection, query: Select[Any], make: Callable[[Row[Any]], T]
) -> AsyncIterator[list[T]]:
    """Gives what `make` makes of each row, some thousands at a time; other tasks get their turn in between."""
    with _collector_paused():
        async with conn.stream(query.execution_options(yield_per=ROWS_IN_A_PART)) as result:
            async for rows in result.partitions():
                yield [make(row) for row in rows]


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keeps Python's collector from looking for cycles among records, which have none: half of the time went there."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
