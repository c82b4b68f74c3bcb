"""Events on PostgreSQL, where transactions end in another order than they draw ids."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, text

from store import tables
from store.database import Database
from store.engine.postgresql import PostgresqlDatabase
from store.keys import utc_now
from store.logs import events
from store.records import Connection, Event
from tests.databases.parameters import ASYNCPG, PSYCOPG

on_postgresql = pytest.mark.parametrize("database_url", [ASYNCPG, PSYCOPG], indirect=True)


def _event(contoso: Connection, name: str) -> Any:
    row = {"at": utc_now(), "tenant_id": contoso.tenant_id, "connection_id": contoso.id, "type": name}
    return insert(tables.events).values(**row, subject_id=name, payload={})


async def _told(database: Database, contoso: Connection, after_id: int = 0) -> list[Event]:
    async with database.reading() as conn:
        return await events.since(conn, contoso.tenant_id, after_id)


@on_postgresql
async def test_an_event_waits_for_those_before_it_that_are_not_committed_yet(
    database: Database, contoso: Connection
) -> None:
    """I4: with its event. A listener that asks on from the last it knows misses none."""
    drawn, go = asyncio.Event(), asyncio.Event()

    async def slow(conn: Any) -> None:
        await conn.execute(_event(contoso, "slow"))
        drawn.set()
        await go.wait()

    writing = asyncio.create_task(database.write(slow))
    await drawn.wait()
    await database.write(lambda conn: conn.execute(_event(contoso, "quick")))

    assert await _told(database, contoso) == []
    go.set()
    await writing
    told = await _told(database, contoso)
    assert [event.type for event in told] == ["slow", "quick"]
    assert [event.type for event in await _told(database, contoso, told[0].id)] == ["quick"]


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
