"""One module for each noun: operations of the admin API; all of them, in the order of
the document.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from console.api.contract import ApiOperation, Caller
from console.api.routes import (
    access,
    connections,
    event_streams,
    events,
    mappings,
    people,
    sessions,
    sign_in_provider,
    sync,
    tenants,
    tokens,
)
from console.api.stream import stream_run

ROUTES = (
    tenants.routes,
    connections.routes,
    mappings.routes,
    sign_in_provider.routes,
    tokens.routes,
    people.routes,
    sessions.routes,
    sync.routes,
    events.routes,
    events.webhook_routes,
    event_streams.routes,
    access.routes,
)

OPERATIONS: tuple[ApiOperation, ...] = tuple(each for routes in ROUTES for each in routes.operations)

STREAMS: Mapping[str, Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]] = {
    "get_run": stream_run,
}
"""Operations that answer a stream where the client asks for one."""
