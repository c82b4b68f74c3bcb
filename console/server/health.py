"""What an operator's tools ask of a process: /healthz, /readyz, /metrics.

They are answered on a port of their own, so that no proxy leads to them by mistake. The
port of the service answers a load balancer that it lives and can work, and no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from socket import socket

import structlog
from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

from console.server.listen import url_of
from store import write_check
from store.database import Database
from store.directory import receipts
from store.directory.receipts import ACKNOWLEDGED_WITHIN
from store.errors import StoreError
from store.migrations import upgrade
from store.tenancy import credential_expiry, tenants

log = structlog.get_logger(__name__)

UNACKNOWLEDGED = Gauge(
    "leaver_revocations_unacknowledged",
    "Ends of access with sessions or tokens that the app has not acknowledged for five minutes.",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

READY_FOR_S, UNREADY_FOR_S = 5.0, 1.0
"""How long an answer of /readyz is given again: it costs a write, and many may ask."""

REQUESTS = Counter("leaver_http_requests_total", "Answered requests.", ["method", "route", "status"])
DURATION = Histogram("leaver_http_request_duration_seconds", "Time to answer.", ["method", "route"])

CONNECTIONS = Gauge(
    "leaver_connection_info",
    "1 for each connection, with its names: joins the id in the label `connection` of other metrics to them.",
    ["connection", "tenant", "name"],
)
MOST_CONNECTIONS = 1_000
"""The oldest that have a line of their own: the number of metrics stays bounded."""

CREDENTIALS = Gauge(
    "leaver_credentials_ending", "Connections whose Graph credential ends, by how soon.", ["state"]
)


@dataclass(slots=True)
class Readiness:
    """Whether this process can do its work: schema, a write, and room on the disk."""

    db: Database
    database_url: str
    runs_jobs: bool = False
    """Whether this process is a worker too, and writes to the database of the jobs."""
    clock: Callable[[], float] = time.monotonic
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _known_until: float = 0.0
    _known: str | None = None

    async def why_not(self) -> str | None:
        """Return why this process cannot work, or None where it can."""
        async with self._one_at_a_time:
            if self.clock() >= self._known_until:
                self._known = await self._look()
                self._known_until = self.clock() + (UNREADY_FOR_S if self._known else READY_FOR_S)
            return self._known

    async def _look(self) -> str | None:
        try:
            async with self.db.reading() as conn:
                await conn.run_sync(upgrade.check_schema)
            await write_check.check_write(self.db, self.database_url)
            if self.runs_jobs:
                await write_check.check_jobs_write(self.database_url)
        except StoreError as error:
            return str(error)
        return None


READINESS = web.AppKey("readiness", Readiness)


def add_probes(app: web.Application, readiness: Readiness) -> None:
    """Add what a load balancer asks the port that it sends requests to: a status
    without a reason.
    """
    app[READINESS] = readiness
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz_without_reason)


@asynccontextmanager
async def answering(sock: socket, readiness: Readiness) -> AsyncIterator[None]:
    """Answer the three paths on the socket, and nothing else."""
    runner = web.AppRunner(operations_app(readiness), access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.SockSite(runner, sock).start()
        log.info("operations.listening", url=url_of(sock))
        yield
    finally:
        await runner.cleanup()


def operations_app(readiness: Readiness) -> web.Application:
    """Return an application of the three paths.

    None needs a token; of a tenant they give the names of its connections alone.
    """
    app = web.Application()
    app[READINESS] = readiness
    app.on_response_prepare.append(hide_software)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/metrics", _metrics)
    return app


async def hide_software(_request: web.Request, response: web.StreamResponse) -> None:
    """Name no version in `Server`: it would say which known defects to try."""
    response.headers[hdrs.SERVER] = "Leaver"


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count and time every request by its route, not by its path, which holds ids."""
    started = time.perf_counter()
    status = 500
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as refused:
        status = refused.status
        raise
    finally:
        method, route = _labels(request)
        answered, duration = _meters(method, route, status)
        answered.inc()
        duration.observe(time.perf_counter() - started)


@lru_cache(maxsize=1024)
def _meters(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Return the meters of a route, cached: finding one takes longer than counting."""
    return REQUESTS.labels(method, route, str(status)), DURATION.labels(method, route)


def _labels(request: web.Request) -> tuple[str, str]:
    """Return method and route; unknown ones count as `other`.

    So no client can make the number of metrics grow.
    """
    resource = request.match_info.route.resource
    method = request.method if request.method in hdrs.METH_ALL else "other"
    return method, resource.canonical if resource else "other"


async def _healthz(_: web.Request) -> web.Response:
    """Answer that the process runs; a supervisor restarts it when this stops."""
    return web.json_response({"status": "ok"})


async def _readyz(request: web.Request) -> web.Response:
    """Answer 200 while the database answers, has our schema and takes a write.

    A load balancer sends requests only then.
    """
    if why := await request.app[READINESS].why_not():
        return web.json_response({"status": "not ready", "why": why}, status=503)
    return web.json_response({"status": "ready"})


async def _readyz_without_reason(request: web.Request) -> web.Response:
    """Answer the world: the reason is for the operator, who has a port of their own."""
    if await request.app[READINESS].why_not():
        return web.json_response({"status": "not ready"}, status=503)
    return web.json_response({"status": "ready"})


async def _metrics(request: web.Request) -> web.Response:
    with contextlib.suppress(StoreError):  # the other figures matter most while the database is away
        async with request.app[READINESS].db.reading() as conn:
            ending = await credential_expiry.count_warnings(conn, datetime.now(UTC))
            names = await tenants.connection_names(conn, MOST_CONNECTIONS)
            late = await receipts.count_unacknowledged(conn, datetime.now(UTC) - ACKNOWLEDGED_WITHIN)
        UNACKNOWLEDGED.set(late)
        CONNECTIONS.clear()
        for each in names:
            CONNECTIONS.labels(each.connection_id, each.tenant, each.name).set(1)
        for state, number in ending.items():
            CREDENTIALS.labels(state).set(number)
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
