"""The door itself: transactions, many callers at once, crashes, and what is said when it does not open."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.database import Database, libpq_url, open_database, release_memory
from store.directory import users
from store.errors import (
    DatabaseUnreachable,
    DiskFull,
    FencedOut,
    NotFound,
    SchemaOutOfDate,
    StoreError,
    UniquenessConflict,
    WrongDatabase,
)
from store.keys import utc_now
from store.migrations import upgrade
from store.records import Connection, CreateUser, Fence, Origin
from store.sync import leases
from store.tenancy import connections, tenants
from tests.builders.store_rows import create_user, perform, person
from tests.databases.parameters import ASYNCPG, PSYCOPG


async def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    """One write is one transaction."""

    async def work(conn: AsyncConnection) -> None:
        await tenants.create(conn, "Fabrikam")
        raise KeyError("after writing")

    with pytest.raises(KeyError, match="after writing"):
        await database.write(work)

    async with database.reading() as conn:
        assert await tenants.list_all(conn) == []


async def test_one_failing_write_does_not_take_others_with_it(database: Database) -> None:
    """Writes that are committed together stand or fall alone."""

    async def fail(conn: AsyncConnection) -> None:
        await tenants.create(conn, "Never")
        raise KeyError("mine alone")

    async def make(number: int) -> None:
        await database.write(lambda conn: tenants.create(conn, f"Tenant {number}"))

    results = await asyncio.gather(
        *(make(number) if number % 3 else database.write(fail) for number in range(60)),
        return_exceptions=True,
    )

    async with database.reading() as conn:
        names = {tenant.name for tenant in await tenants.list_all(conn)}
    assert names == {f"Tenant {number}" for number in range(60) if number % 3}
    assert sum(isinstance(result, KeyError) for result in results) == 20


async def test_a_cancelled_caller_does_not_leave_the_database_locked(database: Database) -> None:
    """Clients go away in mid-request; whoever comes next can write."""

    async def make(number: int) -> None:
        await database.write(lambda conn: tenants.create(conn, f"Tenant {number}"))

    for number in range(20):
        task = asyncio.create_task(make(number))
        await asyncio.sleep(0.001 * (number % 4))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await asyncio.wait_for(database.write(lambda conn: tenants.create(conn, "After")), timeout=10)


async def test_a_cancelled_reader_does_not_spoil_its_connection(
    database: Database, contoso: Connection
) -> None:
    """A connection whose reader went away is used by the next one."""
    await create_user(database, contoso, "ann")

    async def read() -> int:
        async with database.reading() as conn:
            return len(await users.load_state(conn, contoso.tenant_id, contoso.id))

    for number in range(60):
        tasks = [asyncio.create_task(read()) for _ in range(4)]
        await asyncio.sleep(0.0005 * (number % 5))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert await asyncio.gather(*(read() for _ in range(20))) == [1] * 20


async def test_a_reader_cancelled_at_any_step_leaves_no_transaction_behind(
    database: Database, contoso: Connection
) -> None:
    """One cancelled while BEGIN was on its way left a snapshot open: the next write on that connection was refused
    ("cannot execute UPDATE in a read-only transaction"), the next reading saw an old moment."""

    async def read() -> None:
        async with database.reading() as conn:
            await users.load_state(conn, contoso.tenant_id, contoso.id)

    for steps in range(150):
        reading = asyncio.create_task(read())
        for _ in range(steps):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await create_user(database, contoso, f"user {steps}")
        async with database.reading() as conn:
            assert len(await users.load_state(conn, contoso.tenant_id, contoso.id)) == steps + 1


async def test_a_reader_sees_one_moment(database: Database, contoso: Connection) -> None:
    """`reading()` gives one consistent view, whatever is written meanwhile."""
    async with database.reading() as conn:
        before = await users.load_state(conn, contoso.tenant_id, contoso.id)
        await create_user(database, contoso, "ann")
        after = await users.load_state(conn, contoso.tenant_id, contoso.id)

    assert before == after == {}


async def test_one_query_needs_no_moment(database: Database, contoso: Connection) -> None:
    """`single_statement` is cheaper, and sees what is committed by the time of each query."""
    ann = await create_user(database, contoso, "ann")

    async with database.reading(single_statement=True) as conn:
        assert await users.get(conn, contoso.tenant_id, ann.id) == ann
    async with database.reading() as conn:  # the next one is consistent again
        await create_user(database, contoso, "bea")
        assert len(await users.load_state(conn, contoso.tenant_id, contoso.id)) in (1, 2)
        seen = len(await users.load_state(conn, contoso.tenant_id, contoso.id))
        await create_user(database, contoso, "cid")
        assert len(await users.load_state(conn, contoso.tenant_id, contoso.id)) == seen


async def test_inline_readers_leave_no_old_moment_behind(database: Database, contoso: Connection) -> None:
    """A look-up sees what was answered before it, whoever used the connection last and however they left it."""
    for name in ("ann", "bea", "cid"):
        with contextlib.suppress(LookupError):
            async with database.reading(single_statement=True) as conn:
                await users.find_by_user_name(conn, contoso.tenant_id, contoso.id, name)
                raise LookupError
        made = await create_user(database, contoso, name)
        async with database.reading(single_statement=True) as conn:
            assert await users.get(conn, contoso.tenant_id, made.id) == made


async def test_readers_and_writers_go_on_while_memory_is_given_back(
    database: Database, contoso: Connection
) -> None:
    """A worker does so after the cycle of a large directory; others are at work meanwhile."""
    async with database.reading() as conn, database.reading(single_statement=True) as inline:
        await tenants.list_all(inline)
        await release_memory(database)
        assert [each.name for each in await tenants.list_all(conn)] == ["Contoso"]
        assert [each.name for each in await tenants.list_all(inline)] == ["Contoso"]
    await release_memory(database)  # with everything idle
    await database.write(lambda conn: tenants.create(conn, "Fabrikam"))
    async with database.reading() as conn, database.reading(single_statement=True) as inline:
        assert len(await tenants.list_all(conn)) == len(await tenants.list_all(inline)) == 2


async def test_an_error_of_the_caller_comes_through_as_it_is(database: Database) -> None:
    """Only the database's errors are put into our words: the network errors of a caller are its own."""
    with pytest.raises(ConnectionResetError):
        async with database.reading():
            raise ConnectionResetError("Graph went away")


async def test_two_creates_of_one_name_at_once_make_one(database: Database, contoso: Connection) -> None:
    """The loser of the race is told of the conflict, not of a database error."""
    results = await asyncio.gather(
        *(perform(database, contoso, CreateUser(person("ann"))) for _ in range(12)), return_exceptions=True
    )

    made = [result for result in results if isinstance(result, list)]
    assert len(made) == 1
    assert {type(result) for result in results if not isinstance(result, list)} == {UniquenessConflict}


async def test_a_fenced_writer_writes_nothing(database: Database, contoso: Connection) -> None:
    """design.md §5, engine: every write transaction checks the token; a stale one is refused."""
    now = utc_now()
    lease = await database.write(
        lambda conn: leases.acquire(conn, contoso.tenant_id, contoso.id, "one", now, duration_s=-1)
    )
    assert lease is not None
    await perform(database, contoso, CreateUser(person("ann")), origin=Origin.GRAPH, fence=lease.fence)
    other = await database.write(
        lambda conn: leases.acquire(conn, contoso.tenant_id, contoso.id, "two", now, duration_s=60)
    )
    assert other is not None

    for stale in (lease.fence, Fence(contoso.id, other.token + 1)):
        with pytest.raises(FencedOut):
            await perform(database, contoso, CreateUser(person("bea")), origin=Origin.GRAPH, fence=stale)

    async with database.reading() as conn:
        assert len(await users.load_state(conn, contoso.tenant_id, contoso.id)) == 1


_WRITER = """
import asyncio, sys
from store import lifecycle
from store.database import open_database
from store.records import Cause, ConnectionId, CreateUser, Origin, TenantId

async def main(url, tenant, connection):
    database = await open_database(url)
    for number in range(100_000):
        command = CreateUser({"userName": f"user{number}"})
        cause = Cause(Origin.SCIM, "r")
        await lifecycle.perform(database, TenantId(tenant), ConnectionId(connection), [command], cause)
        print(number, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_what_was_answered_survives_kill_nine(
    database: Database, database_url: str, contoso: Connection
) -> None:
    """Invariant I4: an answered write is durable, with its log entry and event; no other is there in part."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _WRITER,
        database_url,
        contoso.tenant_id,
        contoso.id,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert process.stdout is not None
    answered = 0
    async for line in process.stdout:
        answered = int(line) + 1
        if answered == 40:
            process.kill()
    await process.wait()

    async with database.reading() as conn:
        people = len(await users.load_state(conn, contoso.tenant_id, contoso.id))
        logged = (await conn.execute(text("SELECT count(*) FROM provisioning_log"))).scalar_one()
        told = (await conn.execute(text("SELECT count(*) FROM events"))).scalar_one()
    assert answered <= people <= answered + 1
    assert people == logged == told


async def test_two_processes_write_the_same_database(
    database: Database, database_url: str, contoso: Connection
) -> None:
    """Server and worker share it; on SQLite they take turns."""
    other = await open_database(database_url)
    try:
        await asyncio.gather(
            *(
                perform(opened, contoso, CreateUser(person(f"{name}{number}")))
                for name, opened in (("a", database), ("b", other))
                for number in range(50)
            )
        )
    finally:
        await other.close()

    async with database.reading() as conn:
        assert len(await users.load_state(conn, contoso.tenant_id, contoso.id)) == 100


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        pytest.param(
            ("only-for-tests", "wrong"), WrongDatabase, "password authentication failed", id="password"
        ),
        pytest.param(("/postgres", "/nothing"), WrongDatabase, "does not exist", id="database"),
        pytest.param(("127.0.0.1", "nowhere.invalid"), DatabaseUnreachable, "does not answer", id="host"),
        pytest.param(None, SchemaOutOfDate, "leaver db upgrade", id="not migrated"),
    ],
)
async def test_postgresql_that_does_not_open_says_why_in_one_line(
    postgres_server: str, driver: str, change: tuple[str, str] | None, error: type[StoreError], words: str
) -> None:
    """One line that says what, why and what to do; never the password."""
    url = postgres_server.replace("asyncpg", driver)

    with pytest.raises(error, match=words) as caught:
        await open_database(url.replace(*change) if change else url)

    assert "\n" not in str(caught.value)
    assert "only-for-tests" not in str(caught.value)


async def test_postgresql_works_through_psycopg_too(postgres_server: str) -> None:
    """`postgresql+psycopg://` is the second way to the same database."""
    url = postgres_server.rpartition("/")[0].replace("asyncpg", "psycopg") + "/leaver_template"
    database = await open_database(url)
    try:
        tenant = await database.write(lambda conn: tenants.create(conn, "Psycopg"))
        entra = await database.write(lambda conn: connections.create(conn, tenant.id, "Entra"))
        ann = await create_user(database, entra, "ann")
        async with database.reading() as conn:
            assert await users.get(conn, tenant.id, ann.id) == ann
    finally:
        await database.write(lambda conn: conn.execute(text("TRUNCATE tenants CASCADE")))
        await database.close()


@pytest.mark.parametrize("url", ["", "leaver.db", "mysql://user:secret@host/db", "sqlite:///./leaver.db"])
async def test_an_unknown_kind_of_url_is_refused_with_an_example(url: str) -> None:
    """The message names the variable and shows a right value, and repeats nothing of the wrong one."""
    with pytest.raises(WrongDatabase, match="for example sqlite") as caught:
        await open_database(url)

    assert "secret" not in str(caught.value)


async def test_a_missing_file_is_not_made_by_looking(tmp_path: Path) -> None:
    """Opening a database that is not there leaves nothing behind."""
    with pytest.raises(SchemaOutOfDate, match="leaver db upgrade"):
        await open_database(f"sqlite+aiosqlite:///{tmp_path}/none.db")

    assert not Path(tmp_path, "none.db").exists()  # noqa: ASYNC240 - a test may wait for the disk


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """SQLite finds out when it reads."""
    (tmp_path / "letter.db").write_text("Dear Sir or Madam, " * 100)

    with pytest.raises(WrongDatabase, match="not a database"):
        await open_database(f"sqlite+aiosqlite:///{tmp_path}/letter.db")


async def test_a_closed_database_says_so(database: Database) -> None:
    """A write after close fails at once instead of waiting for ever."""
    await database.close()

    if database.dialect == "sqlite":
        with pytest.raises(DatabaseUnreachable, match="closed"):
            await database.write(lambda conn: tenants.create(conn, "Late"))


async def test_a_write_waits_for_another_process_that_holds_the_file(tmp_path: Path) -> None:
    """SQLite has one writer at a time; we wait our turn (10 s) instead of failing at once."""
    url = f"sqlite+aiosqlite:///{tmp_path}/leaver.db"
    await upgrade.upgrade(url)
    database = await open_database(url)
    other = sqlite3.connect(tmp_path / "leaver.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(database.write(lambda conn: tenants.create(conn, "Patient")))
    await asyncio.sleep(0.2)
    assert not waiting.done()

    other.execute("COMMIT")
    other.close()

    assert (await waiting).name == "Patient"
    await database.close()


async def test_a_connection_of_another_tenant_takes_no_rows(database: Database, contoso: Connection) -> None:
    """Invariant I5 in the schema itself: no row names one tenant and another's connection."""
    other = await database.write(lambda conn: tenants.create(conn, "Fabrikam"))

    with pytest.raises(NotFound):
        await perform(database, replace(contoso, tenant_id=other.id), CreateUser(person("ann")))


async def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """What is committed together may be lost together, but nothing that was answered; with room it goes on."""
    url = f"sqlite+aiosqlite:///{tmp_path}/leaver.db"
    await upgrade.upgrade(url)
    database = await open_database(url)
    pages = await database.write(lambda conn: conn.scalar(text("PRAGMA page_count")))
    await database.write(lambda conn: conn.execute(text(f"PRAGMA max_page_count = {pages + 20}")))

    async def make(number: int) -> None:
        await database.write(lambda conn: tenants.create(conn, f"Tenant {number} {'x' * 2000}"))

    results = await asyncio.gather(*(make(number) for number in range(200)), return_exceptions=True)
    answered = sum(result is None for result in results)
    assert {type(result) for result in results if result is not None} == {DiskFull}
    async with database.reading() as conn:
        assert len(await tenants.list_all(conn)) == answered
    await database.write(lambda conn: conn.execute(text("PRAGMA max_page_count = 1000000")))
    await make(1000)
    await database.close()


@pytest.mark.postgres
async def test_a_server_that_drops_us_is_found_again(postgres_server: str) -> None:
    """A write on a lost connection says so; the next one has a new connection."""
    database = await open_database(postgres_server.rpartition("/")[0] + "/leaver_template")
    suicide = text("SELECT pg_terminate_backend(pg_backend_pid())")
    try:
        with pytest.raises(DatabaseUnreachable):
            await database.write(lambda conn: conn.execute(suicide))
        async with database.reading() as conn:
            assert await tenants.list_all(conn) == []
    finally:
        await database.close()


@pytest.mark.parametrize("database_url", [ASYNCPG, PSYCOPG], indirect=True)
async def test_an_outage_costs_one_call_and_not_one_for_each_connection(database_url: str) -> None:
    """A server that was away has dropped every connection we kept: the first loss is a reason to ask the others."""
    database = await open_database(database_url)
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    async def read() -> None:
        async with database.reading() as conn:
            await tenants.list_all(conn)
            await asyncio.sleep(0.1)

    try:
        await asyncio.gather(*(read() for _ in range(5)))  # each by a connection of its own
        url = libpq_url(database_url)
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(others)
        with pytest.raises(DatabaseUnreachable):
            await read()
        for _ in range(5):
            await read()
    finally:
        await database.close()
