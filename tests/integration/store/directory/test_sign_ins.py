"""A sign-in in progress is taken once, by the browser that began it, within ten minutes."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from store.database import Database
from store.directory import sign_ins
from store.directory.sign_ins import PendingSignIn
from store.keys import utc_now
from store.records import Connection

PENDING = PendingSignIn("sealed", "/reports")


async def begin(database: Database, contoso: Connection) -> None:
    place = contoso.tenant_id, contoso.id
    await database.write(lambda conn: sign_ins.begin(conn, *place, "state", "browser", PENDING))


async def take(
    database: Database,
    contoso: Connection,
    state: str = "state",
    browser: str = "browser",
    now: datetime | None = None,
) -> PendingSignIn | None:
    place = contoso.tenant_id, contoso.id
    return await database.write(lambda conn: sign_ins.take(conn, *place, state, browser, now=now))


async def test_of_answers_at_the_same_instant_one_is_taken(database: Database, contoso: Connection) -> None:
    """Replay and races: the database decides, on any server."""
    await begin(database, contoso)
    taken = await asyncio.gather(*(take(database, contoso) for _ in range(5)))
    assert [each for each in taken if each is not None] == [PENDING]


@pytest.mark.parametrize("database_url", ["sqlite+aiosqlite"], indirect=True)
async def test_a_wrong_or_late_answer_takes_nothing(database: Database, contoso: Connection) -> None:
    """Another state, another browser, eleven minutes; none of them spoils it for the right one."""
    await begin(database, contoso)
    assert await take(database, contoso, state="another") is None
    assert await take(database, contoso, browser="another") is None
    assert await take(database, contoso, now=utc_now() + timedelta(minutes=11)) is None
    assert await take(database, contoso) == PENDING
