"""Fills a connection with people: `python -m benchmarks.push.people CONNECTION COUNT`."""

from __future__ import annotations

import asyncio
import sys

from benchmarks.push.scim_requests import person
from benchmarks.usage import measured, tell
from config.settings import load_settings
from store import lifecycle
from store.database import open_database
from store.records import Cause, CreateUser, Origin
from store.tenancy import connections

AT_ONCE = 500
CAUSE = Cause(Origin.CONSOLE, "benchmark")


async def fill(reference: str, count: int) -> None:
    db = await open_database(load_settings().database_url)
    try:
        async with db.reading() as reading:
            connection = await connections.find(reading, reference)
        assert connection is not None
        with measured() as usage:
            for start in range(0, count, AT_ONCE):
                people = [CreateUser(person(f"crowd{number}")) for number in range(start, start + AT_ONCE)]
                await lifecycle.perform(db, connection.tenant_id, connection.id, people, CAUSE)
    finally:
        await db.close()
    tell(usage, users=count)


if __name__ == "__main__":
    asyncio.run(fill(sys.argv[1], int(sys.argv[2])))
