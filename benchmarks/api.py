"""The admin API against bare handlers that call the same use case, and its lists at 100 and at 100,000 rows.

The server is one process and the load another; what is compared is asked in turns, so that whatever else the machine
does meets both alike. Without arguments on SQLite; `python -m benchmarks.api postgresql` on a PostgreSQL of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import orjson
import uvloop
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.cycles.full_cycle import child, leaver
from benchmarks.push.connection import Request, connected
from benchmarks.push.rates import running_process
from benchmarks.rounds import Round, measured_round
from config.keys import Purpose
from config.settings import Settings
from console.admin.actor import Actor, ActorKind
from console.admin.people import users
from console.admin.services import Services, open_services
from console.api.contract import BASE
from console.api.cursors import PageCursors
from console.documents import people as documents
from console.documents.values import page
from console.server.app import build_app
from scim.http.connections import HANDLER_ARGS
from store import tables
from store.database import Database
from store.directory.listing import UserFilter
from store.integration import operator_tokens
from store.keys import new_id
from store.lifecycle import perform
from store.records import Cause, Connection, CreateUser, Origin, User
from store.tenancy import connections, tenants
from tests.builders.secret_keys import secret_key
from tests.databases.postgres_server import running_postgres

FEW, MANY = 100, 100_000
LIMIT, CONNECTIONS, ROUNDS, ROUND_S = 20, 8, 5, 2.0
KEY = secret_key("benchmarks")
HERE = Actor(ActorKind.API, "benchmark")
LEAST_OF_BARE, MOST_APART = 0.5, 2.0
BARE, API = "bare handler", "admin API"
FIRST, MIDDLE = f"first page of {MANY:,}", f"a page in the middle of {MANY:,}"


def run(database: str = "sqlite") -> None:
    """Prints the table."""
    with _database(database) as url:
        environment = {"LEAVER_DATABASE_URL": url, "LEAVER_SECRET_KEY": KEY}
        leaver(environment, "db", "upgrade")
        with running_process([sys.executable, "-m", "benchmarks.api", "serve"], environment) as ready:
            measured = child({}, "benchmarks.api", "load", json.dumps(ready))
    print(
        f"\nAdmin API on {database}: {LIMIT} users of {FEW}, {CONNECTIONS} connections; load {os.getloadavg()[0]:.1f}"
    )
    medians = {
        name: [statistics.median(each) for each in zip(*rounds, strict=True)]
        for name, rounds in measured.items()
    }
    for name, (rate, p99_ms, cpu_us) in medians.items():
        print(f"{name:<36}{rate:>8,.0f} a second   p99 {p99_ms:.1f} ms   {cpu_us:.0f} µs of the server's CPU")
    of_bare = _ratio(measured, BARE, API)
    print(f"  the API answers {of_bare:.2f} times as many as a bare handler by CPU (>= {LEAST_OF_BARE})")
    for name in (FIRST, MIDDLE):
        print(f"  {name}: {_ratio(measured, name, API):.2f} times the cost of {FEW} rows (<= {MOST_APART:g})")


def _ratio(measured: Mapping[str, list[list[float]]], name: str, other: str) -> float:
    """Return the median of the rounds' ratios of processor time."""
    return statistics.median(a[2] / b[2] for a, b in zip(measured[name], measured[other], strict=True))


@contextmanager
def _database(kind: str) -> Iterator[str]:
    if kind == "postgresql":
        with running_postgres() as url:
            yield url
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite+aiosqlite:///{folder}/leaver.db"


# --- the server ---


async def _serve(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        _, token = await services.db.write(lambda conn: operator_tokens.create(conn, "benchmark", ["*"]))
        few, _ = await _filled(services.db, "few", FEW)
        many, middle = await _filled(services.db, "many", MANY)
        bare = web.Application(handler_args=HANDLER_ARGS)
        bare.router.add_get(f"{BASE}/connections/{{connection}}/users", _bare(services))
        cursors = PageCursors(settings.derived_keys(Purpose.API_CURSORS))
        path = f"{BASE}/connections/{many.id}/users"
        ready = {
            "token": token,
            "pid": os.getpid(),
            "few": f"{BASE}/connections/{few.id}/users?limit={LIMIT}",
            "first": f"{path}?limit={LIMIT}",
            "middle": f"{path}?limit={LIMIT}&cursor={cursors.write(f'* {path}', middle)}",
        }
        for name, app in (("bare", bare), ("api", build_app(services, "http://127.0.0.1"))):
            ready[name] = await stack.enter_async_context(_listening(app))
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


@asynccontextmanager
async def _listening(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _bare(services: Services) -> Any:
    """The same use case and the same answer, with nothing checked."""

    async def list_users(request: web.Request) -> web.Response:
        found = await users.list_page(
            services, HERE, request.match_info["connection"], UserFilter(), after=0, limit=LIMIT
        )
        body = orjson.dumps(page(map(documents.user, found.items), None))
        return web.Response(body=body, content_type="application/json")

    return list_users


async def _filled(db: Database, name: str, number: int) -> tuple[Connection, int]:
    """Make a connection of so many people; give the place of the one in the middle."""
    tenant = await db.write(lambda conn: tenants.create(conn, name))
    connection = await db.write(lambda conn: connections.create(conn, tenant.id, "Entra"))
    [made] = await perform(
        db, tenant.id, connection.id, [CreateUser({"userName": "p0"})], Cause(Origin.SCIM, "benchmark")
    )
    assert isinstance(made.record, User)
    first = made.record.id

    async def work(conn: AsyncConnection) -> int:
        found = await conn.execute(select(tables.users).where(tables.users.c.id == first))
        model = {each: value for each, value in found.mappings().one().items() if each != "seq"}
        rows = [
            {**model, "id": new_id(), "user_name": f"p{each}", "user_name_key": f"p{each}"}
            for each in range(1, number)
        ]
        for start in range(0, len(rows), 5_000):
            await conn.execute(insert(tables.users), rows[start : start + 5_000])
        of_connection = select(tables.users.c.seq).where(tables.users.c.connection_id == connection.id)
        ordered = of_connection.order_by(tables.users.c.seq).offset(number // 2).limit(1)
        return int((await conn.execute(ordered)).scalar_one())

    return connection, await db.write(work)


# --- the load ---


async def _load(ready: Mapping[str, Any]) -> dict[str, list[Round]]:
    asked = {
        BARE: ("bare", ready["few"]),
        API: ("api", ready["few"]),
        FIRST: ("api", ready["first"]),
        MIDDLE: ("api", ready["middle"]),
    }
    measured: dict[str, list[Round]] = {name: [] for name in asked}
    for _ in range(ROUNDS):
        for name, (server, path) in asked.items():
            async with connected(ready[server], [ready["token"]] * CONNECTIONS) as wires:
                one = await measured_round(
                    wires, [Request("GET", path)], ready["pid"], ROUND_S, b'{"items":[{'
                )
            measured[name].append(one)
    return measured


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        uvloop.run(
            _serve(
                Settings(
                    database_url=os.environ["LEAVER_DATABASE_URL"],
                    secret_key=(SecretStr(KEY),),
                    scim_requests_per_s=1_000_000,
                    scim_burst=1_000_000,
                )
            )
        )
    elif sys.argv[1:2] == ["load"]:
        sys.stdout.write(json.dumps(uvloop.run(_load(json.loads(sys.argv[2])))) + "\n")
    else:
        run(*sys.argv[1:])
