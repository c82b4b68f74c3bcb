"""Serve SCIM and the operator's three paths as one aiohttp application."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import fields
from socket import socket

import uvloop
from aiohttp import web

from config.logging import configure_logging
from config.settings import Settings, load_settings
from console.admin.services import Services, make_sealer, open_services
from console.api.app import add_routes as add_api_routes
from console.server import health
from console.server.listen import listen, url_of
from console.signin import introspection
from console.signin import routes as signin_routes
from scim.app import ScimServices, add_routes
from scim.http.aiohttp_settings import HANDLER_ARGS
from scim.http.connections import ConnectionCount, listening, note_requests
from scim.limits import ScimLimits

BODY_LIMIT_BYTES = 16 * 1024 * 1024
"""Above every limit of `scim.limits`, which answers with a SCIM error; this one ends
what asks for more."""
GRACE_S = 10.0
"""How long running requests may take after SIGTERM."""


def serve(host: str | None, port: int | None, *, with_worker: bool, as_json: bool) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `CommandError` where it cannot start."""
    settings = load_settings()
    configure_logging(settings)
    make_sealer(settings)  # without a key nothing sealed can be read: better to refuse now than later
    sock = listen(settings.host if host is None else host, settings.port if port is None else port)
    uvloop.run(_serve(settings, sock, with_worker=with_worker, as_json=as_json))


def build_app(services: Services, public_url: str) -> web.Application:
    """Put the application together around an open database.

    `public_url` is the URL by which clients reach it.
    """
    app = web.Application(
        client_max_size=BODY_LIMIT_BYTES,
        middlewares=[note_requests, health.measure],
        handler_args=HANDLER_ARGS,
    )
    health.add_routes(app, services.db)
    add_routes(app, scim_services(services, public_url))
    signin_routes.add_routes(app, services, public_url)
    introspection.add_routes(app, services, public_url)
    add_api_routes(app, services)
    return app


def scim_services(services: Services, public_url: str) -> ScimServices:
    """Return what the SCIM endpoints need, from the operator's settings."""
    settings = services.settings
    return ScimServices(
        services.db,
        public_url,
        limits_of(settings),
        cursor_secret=_cursor_secret(services),
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


def _cursor_secret(services: Services) -> str:
    """Derive the cursor secret from the secret key.

    So every server of an installation reads the cursors of the others.
    """
    key = services.settings.secret_key[0].get_secret_value()
    return hashlib.sha256(f"scim cursors:{key}".encode()).hexdigest()


async def _serve(settings: Settings, sock: socket, *, with_worker: bool, as_json: bool) -> None:
    url = url_of(sock)
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        public_url = settings.base_url if settings.public_url else url
        count = ConnectionCount(limits_of(settings), settings.trusted_proxies)
        app = build_app(services, public_url)
        await stack.enter_async_context(listening(app, sock, count, GRACE_S))
        if with_worker:
            from worker.process import working

            await stack.enter_async_context(working(settings, services.db))
        _freeze_startup_objects()
        _announce(url, public_url, as_json=as_json)
        await _until_stopped()


def _freeze_startup_objects() -> None:
    """Exclude what was loaded at start from garbage collection.

    The collector would search all of it every few hundred requests. Measured: a tenth
    of the time of a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _announce(url: str, public_url: str, *, as_json: bool) -> None:
    scim_url = f"{public_url}/api/scim/v2"
    if as_json:
        sys.stdout.write(json.dumps({"url": url, "public_url": public_url, "scim_url": scim_url}) + "\n")
    else:
        sys.stdout.write(f"Leaver listens on {url}. SCIM base URL: {scim_url}\n")
    sys.stdout.flush()


async def _until_stopped() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
