"""Statements that go past SQLAlchemy to the driver: the same rows, the same errors, the same transaction."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

import pytest
from sqlalchemy import bindparam, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from store import tables
from store.database import Database
from store.engine.bulk_write import Write, bind_names, insert_statement, write_batch
from store.engine.prepared_statements import EVERY_LENGTH_TO, fetch
from store.errors import DatabaseBusy
from store.records import Connection, DisableUser
from tests.builders.store_rows import create_user, perform

_u = tables.users.c
_CHOSEN = select(tables.users).where(_u.id.in_(bindparam("ids", expanding=True))).order_by(_u.seq)


@pytest.mark.parametrize("count", [0, 1, 3, EVERY_LENGTH_TO, EVERY_LENGTH_TO + 1])
async def test_rows_are_those_sqlalchemy_gives(database: Database, contoso: Connection, count: int) -> None:
    """Types, nulls, documents and lists of any length come out as they do from SQLAlchemy."""
    made = [await create_user(database, contoso, f"user{number}") for number in range(count)]
    if made:
        await perform(database, contoso, DisableUser(made[0].id))
    ids = [user.id for user in made]

    async with database.reading() as conn:
        fetched = await fetch(conn, _CHOSEN, {"ids": ids})
        expected = (await conn.execute(_CHOSEN, {"ids": ids})).mappings()
        assert fetched == [dict(row) for row in expected]
    assert len(fetched) == count


async def test_a_value_in_the_statement_itself_is_kept(database: Database, contoso: Connection) -> None:
    """What is not given by name was given when the statement was built."""
    user = await create_user(database, contoso, "ada")
    renamed = update(tables.users).where(_u.id == bindparam("who")).values(user_name="grace")

    async def work(conn: AsyncConnection) -> None:
        await fetch(conn, renamed.returning(_u.user_name), {"who": user.id})

    await database.write(work)
    async with database.reading() as conn:
        assert (await conn.execute(select(_u.user_name))).scalar_one() == "grace"


async def test_it_is_part_of_the_transaction(database: Database) -> None:
    """A write that fails leaves nothing of what went past SQLAlchemy, whichever of the two came first."""

    async def work(conn: AsyncConnection) -> None:
        await fetch(conn, _NEW_TENANT, _tenant("first"))
        await conn.execute(_NEW_TENANT, _tenant("second"))
        raise KeyError("after writing")

    with pytest.raises(KeyError, match="after writing"):
        await database.write(work)
    assert await _count(database) == 0


async def test_what_the_database_refuses_is_told_in_our_words(database: Database) -> None:
    """A unique value that is taken, a constraint of the database: an error of ours, and the next write works."""

    async def twice(conn: AsyncConnection) -> None:
        await fetch(conn, _NEW_TENANT, _tenant("first"))
        await fetch(conn, _NEW_TENANT, _tenant("first"))

    expected = DatabaseBusy if database.dialect == "postgresql" else sqlite3.IntegrityError
    with pytest.raises(expected):
        await database.write(twice)
    await database.write(lambda conn: fetch(conn, _NEW_TENANT, _tenant("first")))
    assert await _count(database) == 1


async def test_rows_of_several_tables_are_written_together(database: Database, contoso: Connection) -> None:
    """One row for each table; what the last statement returns comes back."""
    event = insert_statement(tables.events)
    tenant = insert_statement(tables.tenants).returning(tables.tenants.c.slug)
    writes: list[Write] = [
        (event, [bind_names(tables.events, _event(contoso, "one"))]),
        (tenant, [bind_names(tables.tenants, _tenant("fabrikam"))]),
    ]

    assert await database.write(lambda conn: write_batch(conn, writes)) == [{"slug": "fabrikam"}]
    assert await _types(database) == ["one"]


async def test_rows_of_one_table_keep_their_order(database: Database, contoso: Connection) -> None:
    """Two statements on one table do not see each other within one statement: they run one after the other."""
    event = insert_statement(tables.events)
    renamed = update(tables.events).values(type=bindparam("new")).where(tables.events.c.type == "two")
    rows = [bind_names(tables.events, _event(contoso, name)) for name in ("one", "two")]
    writes: list[Write] = [(event, rows), (renamed, [{"new": "three"}])]

    await database.write(lambda conn: write_batch(conn, writes))
    assert await _types(database) == ["one", "three"]


_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_NEW_TENANT = insert(tables.tenants)


def _tenant(name: str) -> dict[str, object]:
    return {"id": name, "name": name, "slug": name, "created_at": _NOW, "deleted_at": None}


def _event(contoso: Connection, type_: str) -> dict[str, object]:
    return {
        "at": _NOW,
        "tenant_id": contoso.tenant_id,
        "connection_id": contoso.id,
        "type": type_,
        "subject_id": "nobody",
        "payload": {"list": [1, 2]},
    }


async def _count(database: Database) -> int:
    async with database.reading() as conn:
        found: int = (await conn.execute(select(func.count()).select_from(tables.tenants))).scalar_one()
    return found


async def _types(database: Database) -> list[str]:
    async with database.reading() as conn:
        return list((await conn.execute(text("SELECT type FROM events ORDER BY id"))).scalars())
