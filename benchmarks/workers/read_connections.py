"""Many connections that were read before, as copies of some: `python -m benchmarks.workers.read_connections MODELS NUMBER`.

MODELS is a JSON list of connections that had their first cycle. Each copy has its model's people, groups, memberships
and checkpoint under a tenant of its own, and is due on its own beat, so that increments begin at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.usage import measured, tell
from config.settings import load_settings
from store import tables
from store.database import open_database
from store.records import Connection
from store.tenancy import connections
from worker.cycle import schedule

COPIED = (
    tables.users,
    tables.groups,
    tables.memberships,
    tables.delta_links,
    tables.assigned_lists,
    tables.entitled_lists,
    tables.cycles,
)
_OWN = {"tenant_id": "c.tenant_id", "connection_id": "c.id"}
_IDS = ("id", "group_id", "member_id")


async def copy_connections(conn: AsyncConnection, models: Sequence[Connection], number: int) -> None:
    """Add so many copies, of the models in turn."""
    rows = [list(_copies(number, place, len(models))) for place in range(len(models))]
    for place, model in enumerate(models):
        await _add(conn, tables.tenants, tables.tenants.c.id == model.tenant_id, rows[place], ("id", "slug"))
        await _add(
            conn, tables.connections, tables.connections.c.id == model.id, rows[place], ("id", "tenant_id")
        )
        for table in COPIED:
            await conn.execute(text(_copying(table)), {"model": model.id, "prefix": f"copy{place}-%"})
    now = datetime.now(UTC)
    copies = [each for each in await connections.list_all(conn) if each.id.startswith("copy")]
    times = [(each.tenant_id, each.id, schedule.next_due(each, now)) for each in copies]
    await connections.schedule_all(conn, times)
    await conn.execute(text("ANALYZE"))


def _copies(number: int, place: int, models: int) -> Iterator[str]:
    for each in range(place, number, models):
        yield f"copy{place}-{each}"


async def _add(
    conn: AsyncConnection, table: Table, model: Any, names: Sequence[str], named: Sequence[str]
) -> None:
    [row] = (await conn.execute(select(table).where(model))).mappings().all()
    await conn.execute(insert(table), [{**row, **dict.fromkeys(named, name)} for name in names])


def _copying(table: Table) -> str:
    columns = [each.name for each in table.columns if each.name != "seq"]
    values = [f"c.id || '-' || m.{name}" if name in _IDS else _OWN.get(name, f"m.{name}") for name in columns]
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(values)} "
        f"FROM {table.name} AS m CROSS JOIN connections AS c "
        "WHERE m.connection_id = :model AND c.id LIKE :prefix"
    )


async def _run(models: Sequence[str], number: int) -> None:
    db = await open_database(load_settings().database_url)

    async def work(conn: AsyncConnection) -> None:
        found = [await connections.find(conn, model) for model in models]
        await copy_connections(conn, found, number)
        # The models themselves are not measured.
        await connections.schedule_all(conn, [(each.tenant_id, each.id, None) for each in found])

    with measured() as usage:
        await db.write(work)
    await db.close()
    tell(usage, connections=number)


if __name__ == "__main__":
    asyncio.run(_run(json.loads(sys.argv[1]), int(sys.argv[2])))
