"""Serve SCIM as one aiohttp application, and the operator's three paths beside it."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from socket import socket

import uvloop
from aiohttp import web
from pydantic import HttpUrl

from config.keys import Purpose
from config.logging import configure_logging
from config.settings import Settings, load_settings
from console.admin.services import Services, make_sealer, open_services
from console.api import ssf
from console.api.app import add_routes as add_api_routes
from console.errors import CommandError
from console.server import health
from console.server.listen import AddressOptions, listen, url_of
from console.signin import introspection
from console.signin import routes as signin_routes
from console.web import app as console_web
from scim.app import ScimServices, add_routes
from scim.http.connections import HANDLER_ARGS, ConnectionCount, listening, note_requests
from scim.limits import ScimLimits

BODY_LIMIT_BYTES = 16 * 1024 * 1024
"""Above every limit of `scim.limits`, which answers with a SCIM error; this one ends
what asks for more."""
GRACE_S = 10.0
"""How long running requests may take after SIGTERM."""


OPERATIONS = AddressOptions("LEAVER_OPERATIONS_HOST", "--operations-port")
HIGHEST_PORT = 65535


def serve(
    host: str | None, port: int | None, operations_port: int | None, *, with_worker: bool, as_json: bool
) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `CommandError` where it cannot start."""
    settings = load_settings()
    configure_logging(settings)
    make_sealer(settings)  # without a key nothing sealed can be read: better to refuse now than later
    wanted = settings.port if port is None else port
    sock = listen(settings.host if host is None else host, wanted)
    operations = _listen_for_operations(settings, wanted, operations_port)
    uvloop.run(_serve(settings, sock, operations, with_worker=with_worker, as_json=as_json))


def _listen_for_operations(settings: Settings, server_port: int, port: int | None) -> socket:
    """Listen one port above the server where no port is given.

    Where that is taken, or the server took a free port (0), this is a free one as well:
    the line at the start names it.
    """
    wanted = settings.operations_port if port is None else port
    if wanted is not None:
        return listen(settings.operations_host, wanted, OPERATIONS)
    above = server_port + 1 if 0 < server_port < HIGHEST_PORT else 0
    try:
        return listen(settings.operations_host, above, OPERATIONS)
    except CommandError:
        return listen(settings.operations_host, 0, OPERATIONS)


def build_app(services: Services, public_url: str) -> web.Application:
    """Put the application together around an open database.

    `public_url` is the URL by which clients reach it: documents and links name it.
    """
    known = services.settings.model_copy(update={"public_url": HttpUrl(public_url)})
    services = replace(services, settings=known)
    app = web.Application(
        client_max_size=BODY_LIMIT_BYTES,
        middlewares=[note_requests, health.measure],
        handler_args=HANDLER_ARGS,
    )
    app.on_response_prepare.append(health.hide_software)
    add_routes(app, scim_services(services, public_url))
    signin_routes.add_routes(app, services, public_url)
    introspection.add_routes(app, services, public_url)
    add_api_routes(app, services)
    ssf.add_routes(app, services, public_url)
    console_web.add_routes(app, services, public_url)  # the last: it answers unknown addresses
    return app


def scim_services(services: Services, public_url: str) -> ScimServices:
    """Return what the SCIM endpoints need, from the operator's settings."""
    settings = services.settings
    return ScimServices(
        services.db,
        public_url,
        limits_of(settings),
        cursor_keys=settings.derived_keys(Purpose.CURSORS),
        access_token_keys=settings.derived_keys(Purpose.ACCESS_TOKENS),
        trusted_proxies=settings.trusted_proxies,
    )


def limits_of(settings: Settings) -> ScimLimits:
    """Read each limit `x` from the setting `scim_x`.

    A page is by default never larger than the largest.
    """
    names = [field.name for field in fields(ScimLimits) if field.name != "access_token_s"]
    limits = {name: getattr(settings, f"scim_{name}") for name in names}
    limits["default_page_size"] = min(limits["default_page_size"], limits["max_page_size"])
    return ScimLimits(**limits, access_token_s=settings.access_token_minutes * 60)


async def _serve(
    settings: Settings, sock: socket, operations: socket, *, with_worker: bool, as_json: bool
) -> None:
    url = url_of(sock)
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        public_url = settings.base_url if settings.public_url else url
        count = ConnectionCount(limits_of(settings), settings.trusted_proxies)
        app = build_app(services, public_url)
        readiness = health.Readiness(services.db, settings.database_url, runs_jobs=with_worker)
        health.add_probes(app, readiness)
        await stack.enter_async_context(health.answering(operations, readiness))
        await stack.enter_async_context(listening(app, sock, count, GRACE_S))
        if with_worker:
            from worker.process import working

            await stack.enter_async_context(working(settings, services.db))
        freeze_startup_objects()
        _announce(url, public_url, url_of(operations), as_json=as_json)
        await _until_stopped()


def freeze_startup_objects() -> None:
    """Exclude what was loaded at start from garbage collection.

    The collector would search all of it every few hundred requests. Measured: a tenth
    of the time of a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _announce(url: str, public_url: str, operations_url: str, *, as_json: bool) -> None:
    scim_url = f"{public_url}/api/scim/v2"
    if as_json:
        told = {
            "url": url,
            "public_url": public_url,
            "scim_url": scim_url,
            "operations_url": operations_url,
        }
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        sys.stdout.write(f"Leaver listens on {url}. SCIM base URL: {scim_url}\n")
        sys.stdout.write(f"/healthz, /readyz and /metrics are answered on {operations_url}.\n")
    sys.stdout.flush()


async def _until_stopped() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
