"""`leaver serve`: one aiohttp application with the SCIM routes and the operator's three paths."""

from __future__ import annotations

import asyncio
import errno
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import uvloop
from aiohttp import web

from config.settings import Settings
from console import operations
from console.errors import CommandError
from console.services import Services, make_sealer, open_services
from scim.app import add_routes

BODY_LIMIT_BYTES = 4 * 1024 * 1024
GRACE_S = 10.0
"""How long running requests may take after SIGTERM."""


def serve(host: str, port: int, *, with_worker: bool, as_json: bool) -> None:
    """Serves until SIGTERM or Ctrl-C; raises `CommandError` where it cannot start."""
    uvloop.run(_serve(host, port, with_worker=with_worker, as_json=as_json))


def build_app(services: Services) -> web.Application:
    """Puts the application together around an open database."""
    app = web.Application(client_max_size=BODY_LIMIT_BYTES, middlewares=[operations.measure])
    operations.add_routes(app, services.db)
    add_routes(app, services.db, services.settings)
    return app


async def _serve(host: str, port: int, *, with_worker: bool, as_json: bool) -> None:
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services())
        make_sealer(
            services.settings
        )  # without a key nothing sealed can be read: better to refuse now than later
        url = await stack.enter_async_context(_listening(build_app(services), host, port))
        if with_worker:
            from worker.main import working

            await stack.enter_async_context(working(services.settings, services.db))
        _announce(url, services.settings, as_json=as_json)
        await _until_told_to_stop()


@asynccontextmanager
async def _listening(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Listens and gives the URL; on leaving lets running requests end."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_S, handle_signals=False)
    await runner.setup()
    try:
        await _bind(runner, host, port)
        yield f"http://{_spoken(host)}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _bind(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise CommandError(f"cannot listen on {host}:{port}", _why(error), _remedy(error)) from error


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use"
    return "permission denied" if error.errno == errno.EACCES else (error.strerror or str(error))


def _remedy(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "Stop the other program, or choose another port with --port"
    if error.errno == errno.EACCES:
        return "Ports below 1024 are for root; choose another with --port"
    return "Check --host: it must be an address of this machine"


def _announce(url: str, settings: Settings, *, as_json: bool) -> None:
    if as_json:
        ready = {
            "url": url,
            "public_url": settings.public_url,
            "scim_url": f"{settings.public_url}/api/scim/v2",
        }
        sys.stdout.write(json.dumps(ready) + "\n")
    else:
        sys.stdout.write(f"Leaver listens on {url}. SCIM base URL: {settings.public_url}/api/scim/v2\n")
    sys.stdout.flush()


async def _until_told_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _spoken(host: str) -> str:
    """A host as it stands in a URL: IPv6 in brackets, "all addresses" as this machine."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
