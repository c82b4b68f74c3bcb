"""Events: what they add to the changes that make them, and the feed's cost by position, on both databases.

By processor time, so that the machine's other work counts little: of this process and, on PostgreSQL, of the server. A page
of the feed takes less than the server's clock can tell: there the best of its times by the wall counts. A change without its
events is the same transaction in which none is made; of each the best of five rounds counts.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.push.rates import POSTGRES, SQLITE
from benchmarks.server_usage import PRELOADED, measured_server
from store import tables
from store.database import Database, open_database
from store.keys import utc_now
from store.lifecycle import perform
from store.logs import events
from store.logs.journal import Journal
from store.migrations.upgrade import upgrade
from store.records import Cause, ChangeUser, Connection, CreateUser, DisableUser, Origin, UserId
from store.tenancy import connections, tenants
from tests.databases.postgres_server import running_postgres

PEOPLE, ROUNDS = 2_000, 5
EVENTS, PAGE, READS = 200_000, 1_000, 15
MOST_ADDED, MOST_APART = 0.15, 1.5


def run() -> None:
    """Print the table; exit 1 above a budget."""
    with tempfile.TemporaryDirectory() as folder:
        is_within = asyncio.run(_run(SQLITE, f"sqlite+aiosqlite:///{Path(folder)}/leaver.db"))
    with running_postgres(PRELOADED) as url:
        is_within &= asyncio.run(_run(POSTGRES, url))
    if not is_within:
        raise SystemExit(1)


async def _run(name: str, url: str) -> bool:
    await upgrade(url)
    db = await open_database(url)
    try:
        tenant = await db.write(lambda conn: tenants.create(conn, "Contoso"))
        connection = await db.write(lambda conn: connections.create(conn, tenant.id, "Entra"))
        added = await _added(db, connection, url)
        by_place = await _feed(db, connection)
    finally:
        await db.close()
    apart = max(by_place.values()) / min(by_place.values())
    lines = [
        f"{name}: events add {added:.1%} to the changes that make them (at most {MOST_ADDED:.0%})",
        *(f"feed, {PAGE:,} of {EVENTS:,} events {place}: {ms:.1f} ms" for place, ms in by_place.items()),
        f"slowest position / fastest: {apart:.2f} (at most {MOST_APART})",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return added < MOST_ADDED and apart < MOST_APART


async def _added(db: Database, connection: Connection, url: str) -> float:
    """Return the share that the events add to a create, an update and a disable."""
    whole = Journal.add_event

    def none(_journal: Journal, _type: str, _subject: str, _payload: Mapping[str, Any]) -> None:
        """Make no event."""

    with_events: list[float] = []
    without: list[float] = []
    for number in range(2 * ROUNDS + 2):
        is_whole = number % 2 == 0
        _use(whole if is_whole else none)
        began = time.process_time()
        with measured_server(url) as server:
            await _life(db, connection, number)
        took_s = time.process_time() - began + (server.cpu_s or 0.0)
        if number >= 2:  # the first of each warms the statements
            (with_events if is_whole else without).append(took_s)
    _use(whole)
    return min(with_events) / min(without) - 1


def _use(add_event: Callable[..., None]) -> None:
    Journal.add_event = add_event  # type: ignore[method-assign]


async def _life(db: Database, connection: Connection, number: int) -> None:
    """Create, change and disable people."""
    cause = Cause(Origin.GRAPH, f"cycle-{number}")
    made = await _perform(
        db,
        connection,
        [CreateUser({"userName": f"p{number}.{n}@contoso.example", "active": True}) for n in range(PEOPLE)],
        cause,
    )
    ids = [UserId(each.record.id) for each in made]
    for command in (lambda user_id: ChangeUser(user_id, _title), DisableUser):
        await _perform(db, connection, [command(user_id) for user_id in ids], cause)


def _title(document: Any) -> dict[str, Any]:
    return {**document, "title": "Tester"}


async def _perform(
    db: Database, connection: Connection, commands: Sequence[Any], cause: Cause
) -> Sequence[Any]:
    return await perform(db, connection.tenant_id, connection.id, commands, cause, atomic=False)


async def _feed(db: Database, connection: Connection) -> dict[str, float]:
    """Return the milliseconds of a page near the start, in the middle, at the end."""

    async def fill(conn: AsyncConnection) -> None:
        row = {
            "at": utc_now(),
            "tenant_id": connection.tenant_id,
            "connection_id": connection.id,
            "type": "user.updated",
            "subject_id": "u",
            "payload": {"userName": "ann@contoso.example", "origin": "graph", "period": 1},
        }
        for _ in range(EVENTS // 10_000):
            await conn.execute(insert(tables.events), [row] * 10_000)

    await db.write(fill)
    async with db.reading() as conn:
        last = await events.last_id(conn, connection.tenant_id)
    places = {"at the start": 0, "in the middle": last // 2, "at the end": last - PAGE}
    taken: dict[str, list[float]] = {place: [] for place in places}
    is_here = db.dialect == "sqlite"
    clock, best = (time.process_time, statistics.median) if is_here else (time.perf_counter, min)
    for _ in range(READS):
        for place, after in places.items():
            began = clock()
            async with db.reading(single_statement=True) as conn:
                found = await events.since(conn, connection.tenant_id, after, PAGE, through=last)
            taken[place].append((clock() - began) * 1_000)
            assert len(found) == PAGE
    return {place: best(each) for place, each in taken.items()}


if __name__ == "__main__":
    run()
