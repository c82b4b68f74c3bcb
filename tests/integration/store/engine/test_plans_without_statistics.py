# ruff: noqa: S608 (tables are filled by SQL of this test)
"""Statements that run once a batch are answered by the index of what they look up, whatever the statistics say.

A planner that knows nothing of a table, or knew it when it was empty, takes a list of ids for most of the table and
reads the whole connection for each batch of a first cycle.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import statistics, tables
from store.database import Database
from store.directory import groups, memberships, users
from store.lifecycle import perform
from store.records import (
    AddMembers,
    Cause,
    ChangeUser,
    Command,
    Connection,
    CreateUser,
    DeleteGroup,
    DeleteUser,
    DisableUser,
    GraphId,
    GroupId,
    LinkUser,
    Origin,
    RemoveMembers,
    RowDigest,
    SubjectType,
    UserId,
)
from store.search import query
from store.search.criteria import All, AnyValue, Compare, Criterion, Field, Operator, SearchQuery
from store.sync import digests
from tests.builders.store_rows import create_group, create_user, person, setting
from tests.databases.parameters import ASYNCPG

PEOPLE = 3_000
BATCH = 60

PUSHES = 12
"""More than the five executions after which PostgreSQL decides whether to keep a plan."""

LOOK_UPS = tuple(
    Compare(Field(attribute, case_exact=attribute in ("id", "externalId")), Operator.EQ, "user7")
    for attribute in ("id", "userName", "displayName", "externalId")
)
"""What Entra matches by (Microsoft Learn, matching attributes)."""
WORK_EMAIL = AnyValue(
    Field("emails", many=True),
    All(
        (
            Compare(Field("type"), Operator.EQ, "work"),
            Compare(Field("value"), Operator.EQ, "user7@a.example"),
        )
    ),
)

LARGE = ("users", "groups", "memberships", "sessions", "provisioning_log", "events")
OF_THE_WHOLE_CONNECTION = {"tenant_id", "connection_id", "deleted_at", "active"}


@dataclass(slots=True)
class Recorder:
    """The statements of a test, as the driver got them."""

    statements: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def note(self, sql: str, arguments: Sequence[Any] = ()) -> None:
        if isinstance(arguments, list):  # of an `executemany`
            arguments = arguments[0]
        if re.match(r"\s*(SELECT|UPDATE|DELETE|WITH|INSERT)\b", sql):
            self.statements.setdefault(sql, tuple(arguments))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Record what each connection that is opened from now on is asked."""
    recorder = Recorder()
    connect_sqlite, connect_postgres = sqlite3.connect, asyncpg.connect

    def sqlite(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect_sqlite(*arguments, **options)
        connection.set_trace_callback(recorder.note)  # with the values in it
        return cast("sqlite3.Connection", connection)

    async def postgres(*arguments: Any, **options: Any) -> Any:
        connection = await connect_postgres(*arguments, **options)
        connection.add_query_logger(lambda query: recorder.note(query.query, query.args))
        return connection

    monkeypatch.setattr(sqlite3, "connect", sqlite)
    monkeypatch.setattr(asyncpg, "connect", postgres)
    return recorder


@pytest.mark.parametrize("analyzed", ["never", "when empty", "when full"])
async def test_a_batch_looks_up_by_index(
    recorder: Recorder, database: Database, contoso: Connection, analyzed: str
) -> None:
    """Tables filled since the planner looked last, or never looked at; and those it knows well."""
    await _fill_analyzed(database, contoso, analyzed)
    recorder.statements.clear()

    await _run_batches(database, contoso)

    assert len(recorder.statements) > 20
    assert await _slow(database, dict(recorder.statements)) == []


@pytest.mark.parametrize("analyzed", ["never", "when empty", "when full"])
async def test_a_look_up_of_the_push_is_answered_by_the_index_of_what_it_names(
    recorder: Recorder, database: Database, contoso: Connection, analyzed: str
) -> None:
    """Entra asks for each person before it creates the person: by the whole connection, a first push costs its
    square.
    """
    await _fill_analyzed(database, contoso, analyzed)
    recorder.statements.clear()

    async with database.reading() as conn:
        of_users: tuple[Criterion, ...] = (*LOOK_UPS, WORK_EMAIL)
        for criterion in of_users:
            await query.users(conn, contoso.tenant_id, contoso.id, SearchQuery(criterion, is_match=True))
        for criterion in (each for each in LOOK_UPS if each.field.attribute != "userName"):
            await query.groups(conn, contoso.tenant_id, contoso.id, SearchQuery(criterion))

    assert len(recorder.statements) > len(LOOK_UPS)
    assert await _slow(database, dict(recorder.statements)) == []


@pytest.mark.parametrize("database_url", [ASYNCPG], indirect=True)
async def test_postgresql_plans_what_a_push_asks_a_few_times_only(
    database: Database, contoso: Connection
) -> None:
    """PREPARE, Notes: after five executions PostgreSQL keeps a plan for any values, unless the plans for given
    values were cheaper. To plan a statement costs more than to look two people up.
    """
    scope, cause = (contoso.tenant_id, contoso.id), Cause(Origin.SCIM, correlation_id="push", actor="test")
    group = await create_group(database, contoso, "first")
    for number in range(PUSHES):
        user_id = UserId(f"pushed{number}")
        for command in (
            CreateUser(person(user_id), id=user_id),
            AddMembers(group.id, (user_id,)),
            ChangeUser(user_id, setting(title="Archivist")),
            RemoveMembers(group.id, (user_id,)),
            ChangeUser(user_id, setting(active=False)),
        ):
            await perform(database, *scope, [command], cause)

    async with database.reading() as conn:  # the only one that was opened
        rows = await conn.execute(
            text("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
        )
        plans = {row.statement: (row.generic_plans, row.custom_plans) for row in rows}
    often = {sql: custom for sql, (kept, custom) in plans.items() if kept + custom >= PUSHES}
    assert len(often) >= 5
    assert {sql: custom for sql, custom in often.items() if custom > 5} == {}


async def _run_batches(database: Database, contoso: Connection) -> None:
    """Everything that a cycle does batch by batch."""
    scope = contoso.tenant_id, contoso.id
    ids = [f"user{number}" for number in range(100, 100 + BATCH)]
    user_ids = [UserId(user_id) for user_id in ids]
    new = [
        CreateUser(
            person(f"new{number}"),
            id=UserId(f"new{number}"),
            entra_object_id=GraphId(f"{number:08}-0000-4000-8000-{0:012}"),
        )
        for number in range(BATCH)
    ]
    batches: list[list[Command]] = [
        list(new),
        [AddMembers(GroupId(f"group{n}"), tuple(c.id for c in new if c.id)) for n in range(4)],
        [RemoveMembers(GroupId(f"group{n}"), tuple(ids)) for n in range(4)],
        [ChangeUser(user_id, setting(userName=f"{user_id}@b.example")) for user_id in user_ids],
        [LinkUser(user_id, GraphId(f"{user_id}-linked")) for user_id in user_ids],
        [DisableUser(user_id) for user_id in user_ids],
        [DeleteUser(user_id) for user_id in user_ids],
        [DeleteGroup(GroupId(f"group{n}")) for n in range(4)],
    ]
    for origin in (Origin.GRAPH, Origin.SCIM):
        cause = Cause(origin, correlation_id="batch", actor="test")
        for batch in batches:
            await perform(database, *scope, batch, cause, atomic=False)
    wanted = [f"user{number}" for number in range(1_000, 1_000 + BATCH)]
    async with database.reading() as conn:
        for load in (users.load_some, groups.load_some):
            await load(conn, *scope, ids=wanted, objects=wanted, names=wanted, external_ids=wanted)
        await memberships.load_some(conn, *scope, groups=["group5"], members=wanted)
    rows = [RowDigest(user_id, 1, "digest") for user_id in wanted]
    await database.write(lambda conn: digests.save(conn, *scope, SubjectType.USER, rows))


async def _fill_analyzed(database: Database, contoso: Connection, analyzed: str) -> None:
    """Fill the tables, with statistics of no time, of before or of after."""
    await _leave_statistics_alone(database)
    if analyzed == "when empty":
        await statistics.refresh(database)
    await _fill(database, contoso)
    if analyzed == "when full":
        await statistics.refresh(database)


async def _leave_statistics_alone(database: Database) -> None:
    if database.dialect == "postgresql":
        for table in LARGE:
            await _run(database, f"ALTER TABLE {table} SET (autovacuum_enabled = off)")


async def _fill(database: Database, contoso: Connection) -> None:
    """Copy one user, one group and one membership many times, past all that would look at the tables."""
    document = json.dumps({"nickName": "x" * 800})
    member = await create_user(database, contoso, "first")
    await create_group(database, contoso, "first", member.id)
    n = "CAST(numbers.n AS varchar(9))"
    user, group = f"'user' || {n}", f"'group' || {n}"
    names = {"external_id": "NULL", "entra_object_id": "NULL", "document": f"'{document}'"}
    values = {
        tables.users: {
            **dict.fromkeys(("id", "user_name", "user_name_key", "display_name_key", "work_email_key"), user),
            **names,
        },
        tables.groups: {"id": group, "display_name": group, "display_name_key": group, **names},
        tables.memberships: {
            "group_id": "'group' || CAST(numbers.n % 50 + 1 AS varchar(9))",
            "member_id": user,
        },
    }
    for table, given in values.items():
        columns = [column.name for column in table.c if column is not table.autoincrement_column]
        chosen = [given.get(name, f"original.{name}") for name in columns]
        await _run(
            database,
            f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {PEOPLE}) "
            f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(chosen)} "
            f"FROM (SELECT * FROM {table.name} LIMIT 1) AS original CROSS JOIN numbers",
        )


async def _run(database: Database, statement: str) -> None:
    async def work(conn: AsyncConnection) -> None:
        await conn.execute(text(statement))

    await database.write(work)


async def _slow(database: Database, statements: Mapping[str, tuple[Any, ...]]) -> list[tuple[str, str]]:
    """Return each part of a plan that reads more of a large table than was looked up, with its statement."""
    return [
        (sql, scan)
        for sql, arguments in statements.items()
        for scan in await _scans(database, sql, arguments)
    ]


async def _scans(database: Database, sql: str, arguments: tuple[Any, ...]) -> list[str]:
    if database.dialect == "sqlite":
        async with database.reading() as conn:
            lines = (await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")).all()
        return [line for *_, line in lines if _is_slow_sqlite(line)]
    async with database.reading() as conn:
        raw = await conn.get_raw_connection()
        driver: Any = raw.driver_connection
        plan = await driver.fetch(f"EXPLAIN {sql}", *arguments)
        # What is kept after five executions, for any values.
        await driver.execute(f"SET LOCAL plan_cache_mode = force_generic_plan; PREPARE kept AS {sql}")
        values = f"({', '.join(['NULL'] * len(arguments))})" if arguments else ""
        kept = await driver.fetch(f"EXPLAIN EXECUTE kept{values}")
        await driver.execute("DEALLOCATE kept")
    return [scan for lines in (plan, kept) for scan in _slow_postgres([line[0] for line in lines])]


def _is_slow_sqlite(line: str) -> bool:
    table = re.match(r"(SCAN|SEARCH) (\w+)(?:.*\((.*)\))?", line)
    if table is None or table[2] not in LARGE:
        return False
    searched = set(re.findall(r"(\w+)=\?", table[3] or ""))
    return not searched - OF_THE_WHOLE_CONNECTION


def _slow_postgres(plan: list[str]) -> list[str]:
    slow = []
    for place, line in enumerate(plan):
        scan = re.search(r"(Seq|Index|Index Only|Bitmap Index) Scan (?:using \w+ )?on (\w+)", line)
        if scan is None or not any(scan[2].endswith(table) or table in scan[2] for table in LARGE):
            continue
        condition = plan[place + 1] if place + 1 < len(plan) and "Index Cond" in plan[place + 1] else ""
        searched = set(re.findall(r"\(?\(?(\w+)\)?(?:::text)? = ", condition))
        if scan[1] == "Seq" or not searched - OF_THE_WHOLE_CONNECTION:
            slow.append(line.strip() + " " + condition.strip())
    return slow
