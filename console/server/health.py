"""What an operator's tools ask of the server: /healthz, /readyz, /metrics."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import lru_cache

from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

from store.database import Database
from store.errors import StoreError
from store.migrations import upgrade
from store.tenancy import credential_expiry

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

DATABASE = web.AppKey("operations_database", Database)

REQUESTS = Counter("leaver_http_requests_total", "Answered requests.", ["method", "route", "status"])
DURATION = Histogram("leaver_http_request_duration_seconds", "Time to answer.", ["method", "route"])

CREDENTIALS = Gauge(
    "leaver_credentials_ending", "Connections whose Graph credential ends, by how soon.", ["state"]
)


def add_routes(app: web.Application, db: Database) -> None:
    """Add the three paths; none needs a token or answers anything about a tenant."""
    app[DATABASE] = db
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/metrics", _metrics)


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
    """Answer 200 while the database answers and has our schema.

    A load balancer sends requests only then.
    """
    try:
        async with request.app[DATABASE].reading() as conn:
            await conn.run_sync(upgrade.check_schema)
    except StoreError as error:
        return web.json_response({"status": "not ready", "why": str(error)}, status=503)
    return web.json_response({"status": "ready"})


async def _metrics(request: web.Request) -> web.Response:
    with contextlib.suppress(StoreError):  # the other figures matter most while the database is away
        async with request.app[DATABASE].reading() as conn:
            ending = await credential_expiry.count_warnings(conn, datetime.now(UTC))
        for state, number in ending.items():
            CREDENTIALS.labels(state).set(number)
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
