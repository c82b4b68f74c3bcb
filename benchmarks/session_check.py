"""Introspection against a bare aiohttp handler of the same process, with 100,000 live sessions on SQLite.

The server is one process and the load another; both handlers are asked in turns, so that whatever else the machine
does meets both alike.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.cycles.full_cycle import child, leaver
from benchmarks.push.connection import Request, connected
from benchmarks.push.rates import running_process
from benchmarks.rounds import Round, measured_round
from config.settings import Settings
from console.admin.services import open_services
from console.server.app import build_app, freeze_startup_objects, limits_of
from console.server.listen import listen, url_of
from scim.http.connections import HANDLER_ARGS, ConnectionCount, listening
from store import tables
from store.database import Database
from store.keys import new_id, utc_now
from store.lifecycle import perform
from store.records import Cause, Connection, CreateUser, Origin, User
from store.tenancy import api_tokens, connections, tenants
from tests.builders.secret_keys import secret_key

SESSIONS, PEOPLE = 100_000, 20_000
CONNECTIONS, ROUNDS, ROUND_S = 16, 5, 3.0
KEY = secret_key("benchmarks")
BARE, INTROSPECT = "bare", "introspect"
MOST_TIMES_BARE, LEAST_PER_S = 2.5, 10_000


def run() -> None:
    """Prints the table."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "LEAVER_DATABASE_URL": f"sqlite+aiosqlite:///{Path(folder)}/leaver.db",
            "LEAVER_SECRET_KEY": KEY,
        }
        leaver(environment, "db", "upgrade")
        with running_process(
            [sys.executable, "-m", "benchmarks.session_check", "serve"], environment
        ) as ready:
            measured = child({}, "benchmarks.session_check", "load", json.dumps(ready))
    _print(measured)


def _print(measured: Mapping[str, Any]) -> None:
    print(
        f"\nIntrospection: {SESSIONS:,} live sessions on SQLite, {CONNECTIONS} connections (median of rounds)"
    )
    for name in (BARE, INTROSPECT):
        rate, p99, cpu_us = (statistics.median(each) for each in zip(*measured[name], strict=True))
        print(
            f"{name:<14}{rate:>10,.0f} a second   p99 {p99:.1f} ms"
            f"   {cpu_us:.0f} µs of the server's CPU: {1e6 / cpu_us:,.0f} a second of a core"
        )
    times = statistics.median(
        ours[1] / bare[1] for ours, bare in zip(measured[INTROSPECT], measured[BARE], strict=True)
    )
    print(
        f"  p99 is {times:.2f} times that of a bare handler (< {MOST_TIMES_BARE}); >= {LEAST_PER_S:,} a second"
    )


# --- the server ---


async def _serve(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        token = await _fill(services.db)
        bare = web.Application(handler_args=HANDLER_ARGS)
        bare.router.add_post("/oauth/introspect", _bare)
        ready = {"token": token, "pid": str(os.getpid())}
        runner = web.AppRunner(bare, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready[BARE] = f"http://127.0.0.1:{runner.addresses[0][1]}"
        sock = listen("127.0.0.1", 0)
        ready[INTROSPECT] = url_of(sock)
        app, count = build_app(services, ready[INTROSPECT]), ConnectionCount(limits_of(settings))
        await stack.enter_async_context(listening(app, sock, count, grace_s=1))
        freeze_startup_objects()
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def _bare(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=b'{"active":true}', content_type="application/json")


async def _fill(db: Database) -> str:
    """Makes people with five sessions each, and gives the app's token."""
    tenant = await db.write(lambda conn: tenants.create(conn, "Contoso"))
    connection = await db.write(lambda conn: connections.create(conn, tenant.id, "Entra"))
    [made] = await perform(
        db, tenant.id, connection.id, [CreateUser({"userName": "p0"})], Cause(Origin.SCIM, "benchmark")
    )
    assert isinstance(made.record, User)
    first = made.record.id
    await db.write(lambda conn: _fill_rows(conn, connection, first))
    permissions = ["admin:session:introspect"]
    _, token = await db.write(
        lambda conn: api_tokens.create(conn, tenant.id, connection.id, "app", permissions)
    )
    return token


async def _fill_rows(conn: AsyncConnection, connection: Connection, first: str) -> None:
    found = await conn.execute(select(tables.users).where(tables.users.c.id == first))
    model = {name: value for name, value in found.mappings().one().items() if name != "seq"}
    people = [first, *(new_id() for _ in range(PEOPLE - 1))]
    rows = [
        {**model, "id": each, "user_name": f"p{number}", "user_name_key": f"p{number}"}
        for number, each in enumerate(people)
    ]
    now = utc_now()
    ends = now + timedelta(hours=8)
    sessions = [
        _session(connection, people[number % PEOPLE], number, now, ends) for number in range(SESSIONS)
    ]
    for table, values in ((tables.users, rows[1:]), (tables.sessions, sessions)):
        for start in range(0, len(values), 5_000):
            await conn.execute(insert(table), values[start : start + 5_000])


def _session(connection: Connection, user_id: str, number: int, now: Any, ends: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "tenant_id": connection.tenant_id,
        "user_id": user_id,
        "purpose": "app",
        "secret_hash": hashlib.sha256(_secret(number).encode()).hexdigest(),
        "created_at": now,
        "expires_at": ends,
        "idle_until": ends,
        "last_seen_at": now,
        "holder_number": 1,
        "period": 1,
    }


def _secret(number: int) -> str:
    return f"secret-of-session-{number:06}-in-the-benchmark"


# --- the load ---


async def _load(ready: Mapping[str, str]) -> dict[str, list[Round]]:
    """Gives what was measured, by handler and round."""
    shuffled = random.Random(1).sample(range(SESSIONS), 20_000)
    requests = [Request("POST", "/oauth/introspect", f"token={_secret(each)}".encode()) for each in shuffled]
    measured: dict[str, list[Round]] = {BARE: [], INTROSPECT: []}
    for _ in range(ROUNDS):
        for name in (BARE, INTROSPECT):
            async with connected(ready[name], [ready["token"]] * CONNECTIONS) as wires:
                measured[name].append(
                    await measured_round(wires, requests, int(ready["pid"]), ROUND_S, b'{"active":true')
                )
    return measured


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        uvloop.run(
            _serve(Settings(database_url=os.environ["LEAVER_DATABASE_URL"], secret_key=(SecretStr(KEY),)))
        )
    elif sys.argv[1:2] == ["load"]:
        sys.stdout.write(json.dumps(uvloop.run(_load(json.loads(sys.argv[2])))) + "\n")
    else:
        run()
