"""The order of events: on PostgreSQL transactions end in another order than they draw ids."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from store import tables
from store.database import Database
from store.engine.postgresql import PostgresqlDatabase
from store.keys import utc_now
from store.logs import events
from store.logs.settled_events import SettledEvents
from store.records import Connection, Event
from tests.databases.parameters import ASYNCPG, PSYCOPG

on_postgresql = pytest.mark.parametrize("database_url", [ASYNCPG, PSYCOPG], indirect=True)
WRITERS, EACH = 8, 12


def _event(contoso: Connection, name: str) -> Any:
    row = {"at": utc_now(), "tenant_id": contoso.tenant_id, "connection_id": contoso.id, "type": name}
    return insert(tables.events).values(**row, subject_id=name, payload={})


async def _read(settled: SettledEvents, contoso: Connection, after_id: int = 0) -> list[Event]:
    through = await settled.look()
    async with settled.db.reading() as conn:
        return await events.since(conn, contoso.tenant_id, after_id, through=through)


@on_postgresql
async def test_an_event_waits_for_those_before_it_that_are_not_committed_yet(
    database: Database, contoso: Connection
) -> None:
    """I4: with its event. A listener that reads on from the last it knows misses none."""
    settled = SettledEvents(database)
    drawn, go = asyncio.Event(), asyncio.Event()

    async def slow(conn: Any) -> None:
        await conn.execute(_event(contoso, "slow"))
        drawn.set()
        await go.wait()

    writing = asyncio.create_task(database.write(slow))
    await drawn.wait()
    await database.write(lambda conn: conn.execute(_event(contoso, "quick")))

    try:
        assert await _read(settled, contoso) == []
    finally:
        go.set()
        await writing
    assert [event.type for event in await _read(settled, contoso)] == ["slow", "quick"]


@on_postgresql
async def test_an_older_transaction_that_draws_later_overtakes_no_younger_one(
    database: Database, contoso: Connection
) -> None:
    """The horizon of transaction numbers alone would let the reader skip `early` here.

    `late` has the lower transaction number and the higher event id, and is committed while `early`
    is not: it was written before every running transaction, and yet an event below it will come.
    """
    settled = SettledEvents(database)
    numbered, draw, drawn, go = (asyncio.Event() for _ in range(4))

    async def late(conn: Any) -> None:
        await conn.execute(text("SELECT pg_current_xact_id()"))
        numbered.set()
        await draw.wait()
        await conn.execute(_event(contoso, "late"))

    async def early(conn: Any) -> None:
        await conn.execute(_event(contoso, "early"))
        drawn.set()
        await go.wait()

    writing_late = asyncio.create_task(database.write(late))
    await numbered.wait()
    writing_early = asyncio.create_task(database.write(early))
    await drawn.wait()
    draw.set()
    await writing_late
    try:
        assert await _read(settled, contoso) == []
    finally:
        go.set()
        await writing_early
    assert [event.type for event in await _read(settled, contoso)] == ["early", "late"]


async def test_a_reader_beside_many_writers_reads_every_event_once_and_in_order(
    database: Database, contoso: Connection
) -> None:
    """Issue 11: "The order is total per tenant; nothing is skipped under concurrent writers"."""
    settled = SettledEvents(database)
    seen: list[int] = []

    async def write(writer: int) -> None:
        for number in range(EACH):

            async def work(conn: Any, name: str = f"{writer}.{number}") -> None:
                await conn.execute(_event(contoso, name))
                await asyncio.sleep(0.001 * (writer % 3))
                if name.endswith("5"):
                    raise RuntimeError("rolled back: its id stays a hole")
                await conn.execute(_event(contoso, f"{name}b"))

            try:
                await database.write(work)
            except RuntimeError:
                continue

    async def read() -> None:
        found = await _read(settled, contoso, seen[-1] if seen else 0)
        seen.extend(event.id for event in found)

    writing = asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    while not writing.done():
        await read()
        await asyncio.sleep(0.002)
    await writing
    await settled.settle(5)
    await read()
    async with database.reading() as conn:
        everything = (await conn.execute(select(tables.events.c.id).order_by(tables.events.c.id))).scalars()
        assert seen == list(everything)
    assert len(seen) == WRITERS * (EACH - 1) * 2


@on_postgresql
async def test_who_draws_an_id_is_known_as_running(database: Database, contoso: Connection) -> None:
    """Else an id could be drawn before its transaction counts as running, and be overtaken unseen."""
    assert isinstance(database, PostgresqlDatabase)

    async def drawn(conn: Any) -> tuple[str | None, str | None]:
        number = text("SELECT pg_current_xact_id_if_assigned()::text")
        before = (await conn.execute(number)).scalar()
        default = text(
            "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'events'::regclass"
        )
        expression = (await conn.execute(default)).scalar()
        await conn.execute(text(f"SELECT {expression}"))  # what an insert evaluates first
        return before, (await conn.execute(number)).scalar()

    before, after = await database.write(drawn)
    assert before is None
    assert after is not None
