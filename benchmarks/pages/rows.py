"""Makes a company large by copies of rows that the product wrote: the database makes them, in a few statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Table, TextClause, text

from store import tables
from store.database import Database
from store.records import Connection

CYCLES, LEAVERS = 8_000, 1_000
MEMBERSHIPS_EACH = 5
DAYS = 30
CONNECTIONS = 10_000
COPIES_AT_ONCE = 20_000
"""In one transaction: SQLite keeps every page that a statement changes, in memory, until the statement ends."""


@dataclass(frozen=True)
class Size:
    """How many rows a company is grown to."""

    people: int
    groups: int
    entries: int
    """Of the provisioning log."""
    sessions: int


LARGE = Size(100_000, 2_000, 1_000_000, 100_000)
MILLION = Size(1_000_000, 10_000, 10_000_000, 100_000)


@dataclass(frozen=True)
class Dialect:
    """What the two databases write differently; `n` is the number of the copy."""

    numbers: str
    hexadecimal: str
    moment: str
    """`at`: seconds since the epoch."""


SQLITE = Dialect(
    "(WITH RECURSIVE up(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM up WHERE n < :last) SELECT n FROM up)",
    "printf('%08x-0000-7000-8000-%012x', {0}, {0})",
    "strftime('%Y-%m-%dT%H:%M:%f000+00:00', {at}, 'unixepoch')",
)
POSTGRESQL = Dialect(
    "(SELECT generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n)",
    "lpad(to_hex({0}), 8, '0') || '-0000-7000-8000-' || lpad(to_hex({0}), 12, '0')",
    "to_timestamp({at})",
)


async def copy(
    database: Database, table: Table, model: str, copies: int, changed: Mapping[str, str], source: str = ""
) -> None:
    """Inserts copies of the row that `model` (a condition) finds, with other values in the changed columns."""
    columns = [each.name for each in table.columns if not _is_drawn(table, each.name)]
    values = [changed.get(name, f'm."{name}"') for name in columns]
    names = ", ".join(f'"{name}"' for name in columns)
    statement = text(
        f"INSERT INTO {table.name} ({names}) SELECT {', '.join(values)} "
        f"FROM (SELECT * FROM {table.name} WHERE {model} LIMIT 1) AS m "
        f"CROSS JOIN {_dialect_of(database).numbers} AS numbers {source}"
    )
    for first in range(1, copies + 1, COPIES_AT_ONCE):
        last = min(first + COPIES_AT_ONCE - 1, copies)
        await _run(database, statement.bindparams(first=first, last=last))


def _dialect_of(database: Database) -> Dialect:
    return SQLITE if database.dialect == "sqlite" else POSTGRESQL


async def _run(database: Database, statement: TextClause) -> None:
    await database.write(lambda conn: conn.execute(statement))


def _is_drawn(table: Table, name: str) -> bool:
    return name in ("seq", "id") and "INT" in str(table.c[name].type).upper()


async def grow(database: Database, connection: Connection, size: Size = LARGE) -> None:
    """Adds people to a company, and what they did within a month."""
    dialect = _dialect_of(database)
    begin = int((datetime.now(UTC) - timedelta(days=DAYS)).timestamp())

    def moment(copies: int) -> str:
        return dialect.moment.format(at=f"{begin} + n * {DAYS * 86_400 / copies}")

    def key(number: str) -> str:
        return dialect.hexadecimal.format(number)

    ours = f"connection_id = '{connection.id}'"
    user, group, session = key("n + 16777216"), key("n + 33554432"), key("n + 50331648")
    person = f"n % {size.people} + 16777217"
    await copy(
        database,
        tables.users,
        f"{ours} AND active AND entra_object_id IS NOT NULL",
        size.people,
        {
            "id": user,
            "user_name": "'person' || n || '@contoso.example'",
            "user_name_key": "'person' || n || '@contoso.example'",
            "display_name_key": "'person ' || n",
            "external_id": "'person' || n",
            "entra_object_id": key("n + 67108864"),
            "work_email_key": "'person' || n || '@contoso.example'",
            "active": "n % 20 <> 0",
            "created_at": moment(size.people),
        },
    )
    await copy(
        database,
        tables.groups,
        f"{ours} AND deleted_at IS NULL AND entra_object_id IS NOT NULL",
        size.groups,
        {
            "id": group,
            "display_name": "'Team ' || n",
            "display_name_key": "'team ' || n",
            "external_id": "NULL",
            "entra_object_id": key("n + 83886080"),
        },
    )
    teams = f"(n % {size.people} * 7 + n / {size.people} * 401) % {size.groups} + 33554433"
    for which, number in ((teams, size.people * MEMBERSHIPS_EACH), ("33554433", size.people)):
        # Everybody is in five teams, and in the first.
        await copy(
            database,
            tables.memberships,
            ours,
            number,
            {"group_id": key(f"({which})"), "member_id": key(f"({person})"), "member_type": "'user'"},
            "WHERE TRUE ON CONFLICT DO NOTHING",
        )
    await copy(
        database,
        tables.provisioning_log,
        f"{ours} AND status = 'success' AND subject_type = 'user'",
        size.entries,
        {
            "at": moment(size.entries),
            "action": "CASE n % 10 WHEN 0 THEN 'create' WHEN 1 THEN 'disable' ELSE 'update' END",
            "status": "CASE WHEN n % 1000 = 0 THEN 'failure' WHEN n % 3 = 0 THEN 'skipped' ELSE 'success' END",
            "subject_id": key(f"({person})"),
            "subject_label": f"'person' || (n % {size.people} + 1) || '@contoso.example'",
            "subject_key": f"'person' || (n % {size.people} + 1) || '@contoso.example'",
            "correlation_id": "'cycle ' || (n / 100)",
        },
    )
    await _grow_results(database, ours, moment, key)
    secret = "'secret ' || n"
    owner = f"(SELECT id FROM users WHERE {ours} AND active LIMIT 1)"
    changed = {"id": session, "secret_hash": secret, "user_id": key(f"(n % {size.people} + 16777217)")}
    await copy(database, tables.sessions, f"user_id = {owner}", size.sessions, changed)
    await _run(database, text("ANALYZE"))


async def _grow_results(database: Database, ours: str, moment: object, key: object) -> None:
    assert callable(moment)
    assert callable(key)
    await copy(
        database,
        tables.cycles,
        f"{ours} AND kind = 'full' AND complete",
        CYCLES,
        {
            "id": key("n + 100663296"),
            "kind": "CASE WHEN n % 280 = 0 THEN 'full' ELSE 'incremental' END",
            "started_at": moment(CYCLES),
            "finished_at": moment(CYCLES),
            "report_number": "NULL",
            "held_plan_id": "NULL",
        },
    )
    await copy(
        database,
        tables.drift_findings,
        f"{ours} AND kind = 'missed_deprovision' AND state = 'repaired'",
        LEAVERS,
        {"subject_id": key("n + 16777216"), "first_seen": moment(LEAVERS), "cycle_id": "'an earlier one'"},
    )


async def copy_connections(database: Database, connection: Connection) -> None:
    """Ten thousand tenants with one connection each, a cycle, a token and, of some, trouble."""
    dialect = _dialect_of(database)
    tenant, own = "'tenant-' || n", dialect.hexadecimal.format("n + 117440512")
    place = {"tenant_id": tenant, "connection_id": own}
    await copy(
        database,
        tables.tenants,
        f"id = '{connection.tenant_id}'",
        CONNECTIONS,
        {"id": tenant, "slug": tenant},
    )
    await copy(
        database,
        tables.connections,
        f"id = '{connection.id}'",
        CONNECTIONS,
        {
            "id": own,
            "tenant_id": tenant,
            "last_status": "CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'applied' END",
            "open_findings": "CASE WHEN n % 20 = 1 THEN n % 7 ELSE 0 END",
        },
    )
    ours = f"connection_id = '{connection.id}'"
    for table in (tables.cycles, tables.api_tokens):
        changed = {"id": dialect.hexadecimal.format("n + 134217728"), **place}
        changed |= (
            {"secret_hash": "'hash ' || n"} if table is tables.api_tokens else {"report_number": "NULL"}
        )
        await copy(database, table, ours, CONNECTIONS, changed)
    await _run(database, text("ANALYZE"))
