"""A push and a page on a database as it is, in a process of its own: `python -m benchmarks.plots.at_size CONNECTION`.

Prints one JSON line with milliseconds of CPU of this process: of a user created by itself (SCIM's way into the store,
with log entry and event), and of a page of 50 people in the middle of the directory.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from sqlalchemy import func, select

from benchmarks.usage import measured, tell
from config.settings import load_settings
from store import tables
from store.database import Database, open_database
from store.directory import listing
from store.lifecycle import perform
from store.records import Cause, Connection, CreateUser, Origin
from store.tenancy import connections
from tests.builders.store_rows import person

PUSHES, PAGES, WARM_UP = 200, 100, 20


async def run(reference: str) -> None:
    db = await open_database(load_settings().database_url)
    async with db.reading() as conn:
        connection = await connections.find(conn, reference)
        middle = (await conn.execute(select(func.max(tables.users.c.seq)))).scalar_one() // 2
    with measured() as usage:
        page_ms = await _milliseconds(PAGES, lambda _: _page(db, connection, middle))
        push_ms = await _milliseconds(PUSHES, lambda number: _push(db, connection, number))
    await db.close()
    tell(usage, page_ms=page_ms, push_ms=push_ms)


async def _milliseconds(times: int, work: Callable[[int], Awaitable[None]]) -> float:
    for number in range(WARM_UP):
        await work(-1 - number)
    began = time.process_time()
    for number in range(times):
        await work(number)
    return (time.process_time() - began) / times * 1000


async def _page(db: Database, connection: Connection, after: int) -> None:
    async with db.reading() as conn:
        page = await listing.users(conn, connection.tenant_id, connection.id, after=after)
    assert page.items


async def _push(db: Database, connection: Connection, number: int) -> None:
    cause = Cause(Origin.SCIM, "plots", "plots")
    create = CreateUser(person(f"plots{time.time_ns()}{number}"))
    await perform(db, connection.tenant_id, connection.id, [create], cause)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
