"""Every id of another tenant, in every place of every path: not found, and nothing of that tenant has changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from console.api.contract import ApiOperation
from console.api.routes import OPERATIONS
from console.browser import SESSION_COOKIE
from store import tables
from store.database import Database
from store.directory import receipts, sessions
from store.records import Connection, CycleKind, CycleStatus, DisableUser, TenantId, UserId
from store.sync import cycles, held_plans
from store.tenancy import connections
from tests.builders.api_client import ApiClient, ApiDesk
from tests.builders.api_requests import BODIES, FOREIGN_WRITES
from tests.builders.store_rows import create_user, perform

HOOK = "https://app.invalid/hook"


@pytest.fixture
async def of_contoso(desk: ApiDesk) -> dict[str, str]:
    """One of everything that a path can name."""
    return await everything_of(desk, desk.contoso, desk.connection)


@pytest.fixture
async def of_fabrikam(desk: ApiDesk) -> dict[str, str]:
    [own] = (await desk.fabrikam.get("/connections")).json["items"]
    database = desk.fabrikam.database
    async with database.reading() as conn:
        connection = await connections.find(conn, own["id"])
    ben = await create_user(database, connection, "ben")
    return {"tenant": connection.tenant_id, "connection": connection.id, "user": ben.id}


async def everything_of(desk: ApiDesk, client: ApiClient, connection: Connection) -> dict[str, str]:
    database, base = client.database, f"/connections/{connection.id}"
    user = UserId(desk.user)
    session, _ = await database.write(lambda conn: sessions.start(conn, connection.tenant_id, user))
    key = await client.post(f"{base}/users/{user}/app-keys", {"kind": "app_key", "reference": "key"})
    token = await client.post(f"{base}/tokens", {"name": "spare"})
    hook = await client.post("/webhooks", {"url": HOOK})
    stream = await client.post("/event-streams", {})
    link = await client.post(f"{base}/setup-links", {})
    leaver = await create_user(database, connection, "cy")
    await database.write(lambda conn: sessions.start(conn, connection.tenant_id, leaver.id))
    await perform(database, connection, DisableUser(leaver.id))
    async with database.reading() as conn:
        [receipt] = await receipts.list_for_user(conn, connection.tenant_id, leaver.id)
    cycle, plan = await database.write(lambda conn: _held(conn, connection))
    return {
        "tenant": connection.tenant_id,
        "connection": connection.id,
        "user": user,
        "group": desk.group,
        "session": session.id,
        "receipt": receipt.id,
        "key": key.json["id"],
        "token": token.json["id"],
        "webhook": hook.json["id"],
        "stream": stream.json["stream_id"],
        "link": link.json["id"],
        "cycle": cycle,
        "plan": plan,
    }


async def _held(conn: AsyncConnection, connection: Connection) -> tuple[str, str]:
    place = conn, connection.tenant_id, connection.id
    cycle = await cycles.start(*place, CycleKind.FULL)
    result = cycles.CycleResult(CycleStatus.HELD, complete=True)
    await cycles.finish(conn, connection.tenant_id, cycle.id, result)
    expires_at = datetime.now(UTC) + timedelta(days=7)
    plan = await held_plans.hold(*place, cycle.id, "ab" * 32, "18 users", {"changes": []}, expires_at)
    return cycle.id, plan.id


def paths(
    operation: ApiOperation, own: Mapping[str, str], foreign: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """The path once for each id in it, which is the other tenant's, while the others are one's own."""
    for name in operation.path_names:
        if name in foreign:
            ids = {**dict.fromkeys(operation.path_names, "0123456789abcdef"), **own, name: foreign[name]}
            yield foreign[name], re.sub(r"\{(\w+)\}", lambda found, ids=ids: ids[found[1]], operation.path)  # type: ignore[misc]


async def rows_of(database: Database, tenant_id: str) -> dict[str, list[str]]:
    found = {}
    async with database.reading() as conn:
        for table in tables.tenants.metadata.sorted_tables:
            if "tenant_id" in table.c:
                rows = await conn.execute(select(table).where(table.c.tenant_id == tenant_id))
                found[table.name] = sorted(map(repr, rows))
    return found


async def test_an_id_of_another_tenant_is_not_found_in_any_place_of_any_path(
    desk: ApiDesk, of_contoso: dict[str, str], of_fabrikam: dict[str, str]
) -> None:
    """Issue 11: "IDOR over every id in every route"; with one's own connection around it too."""
    tried = {name for operation in OPERATIONS for name in operation.path_names}
    assert tried - {"operator", "run"} <= of_contoso.keys(), "a new kind of id needs one here"
    before = await rows_of(desk.contoso.database, of_contoso["tenant"])
    number = 0
    for operation in OPERATIONS:
        for foreign, path in paths(operation, of_fabrikam, of_contoso):
            body: Any = None if operation.method == "GET" else BODIES.get(operation.id, {})
            query = {"people": "keep"} if operation.id in ("delete_connection", "delete_tenant") else {}
            answer = await desk.fabrikam.send(operation.method, path, body, {"If-Match": "*"}, **query)
            assert answer.status == FOREIGN_WRITES.get(operation.id, 404), (operation.id, path, answer.text)
            assert foreign not in answer.text.replace(path, "")
            number += 1
    assert number > len([each for each in OPERATIONS if each.path_names])
    assert await rows_of(desk.contoso.database, of_contoso["tenant"]) == before


async def test_a_browsers_session_opens_neither_the_api_nor_the_transmitter(
    desk: ApiDesk, of_contoso: dict[str, str]
) -> None:
    """CSRF: what a browser sends by itself is no credential there; only the header Authorization is."""
    user = UserId(desk.user)
    _, secret = await desk.contoso.database.write(
        lambda conn: sessions.start(conn, TenantId(of_contoso["tenant"]), user)
    )
    for method, path in (
        ("GET", "/api/admin/v1/tenants"),
        ("POST", "/api/admin/v1/webhooks"),
        ("GET", "/ssf/streams"),
    ):
        async with desk.contoso.http.request(
            method, path, json={}, headers={"Cookie": f"{SESSION_COOKIE}={secret}"}
        ) as answer:
            assert answer.status == 401, path
