"""Many tenants with one connection each, as copies of one: `python -m benchmarks.workers.many CONNECTION NUMBER READY`.

READY is a JSON list of the ready lines of simulated Entra tenants, to which the copies are connected in turn: what
Graph grants is shared by all who read one Entra tenant. None of them is due; with `now` behind, all are.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.usage import measured, tell
from config.keys import Sealer
from config.settings import Settings, load_settings
from store import tables
from store.database import open_database
from store.records import Connection, ConnectionId
from store.tenancy import connections
from worker.graph.auth.credentials import Credential

ADDRESS = ("entra_tenant_id", "client_id", "app_id", "login_url", "graph_url")

Entra = Sequence[Mapping[str, str]]


async def copy_tenants(
    conn: AsyncConnection,
    original: Connection,
    entra: Entra,
    number: int,
    due_at: datetime,
    prefix: str = "copy",
) -> list[ConnectionId]:
    """Adds tenants whose connections are like this one, all due at the same time; gives their ids.

    Each is connected to one of the simulated Entra tenants, or where none is named, to that of the original.
    """
    tenant = select(tables.tenants).where(tables.tenants.c.id == original.tenant_id)
    [tenant_row] = (await conn.execute(tenant)).mappings().all()
    connection = select(tables.connections).where(tables.connections.c.id == original.id)
    [connection_row] = (await conn.execute(connection)).mappings().all()
    addresses = [_address(load_settings(), ready) for ready in entra] or [{}]
    names = [f"{prefix}{each}" for each in range(number)]
    await conn.execute(insert(tables.tenants), [{**tenant_row, "id": name, "slug": name} for name in names])
    rows = [
        {
            **connection_row,
            **addresses[place % len(addresses)],
            "id": name,
            "tenant_id": name,
            "next_due_at": due_at,
        }
        for place, name in enumerate(names)
    ]
    await conn.execute(insert(tables.connections), rows)
    return [ConnectionId(name) for name in names]


def _address(settings: Settings, ready: Mapping[str, str]) -> dict[str, str]:
    sealed = Sealer(settings.sealing_keys).seal(Credential(secret=ready["client_secret"]).to_text())
    return {"credential": sealed, **{name: ready[name] for name in ADDRESS}}


async def _run(reference: str, number: int, entra: Entra, *, is_due: bool) -> None:
    due_at = datetime.now(UTC) + timedelta(days=0 if is_due else 1)

    async def work(conn: AsyncConnection) -> None:
        original = await connections.find(conn, reference)
        await connections.schedule(conn, original.tenant_id, original.id, due_at)
        await copy_tenants(conn, original, entra, number, due_at)

    db = await open_database(load_settings().database_url)
    with measured() as usage:
        await db.write(work)
    await db.close()
    tell(usage, connections=number)


if __name__ == "__main__":
    is_due = sys.argv[4:] == ["now"]
    asyncio.run(_run(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), is_due=is_due))
