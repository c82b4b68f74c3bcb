"""Run the worker, with health and metrics beside it where a port is set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket

import structlog
from aiohttp import web

from config.settings import Settings, load_settings
from console.admin.services import make_sealer
from console.server import health
from console.server.listen import listen, url_of
from store.database import Database
from worker.process import Beside, main

log = structlog.get_logger(__name__)


def work(host: str | None, port: int | None) -> None:
    """Work until SIGTERM or Ctrl-C. Raises `CommandError` where it cannot start."""
    settings = load_settings()
    make_sealer(settings)  # without a key every cycle would fail on the stored credential
    main(_listener(settings, host, port))


def _listener(settings: Settings, host: str | None, port: int | None) -> Beside | None:
    """Take the port before anything is started; return None where none is set."""
    wanted = settings.worker_port if port is None else port
    if wanted is None:
        return None
    sock = listen(settings.worker_host if host is None else host, wanted)
    return lambda db: answering(sock, db)


@asynccontextmanager
async def answering(sock: socket, db: Database) -> AsyncIterator[None]:
    """Answer /healthz, /readyz and /metrics on the socket, and nothing else."""
    app = web.Application()
    health.add_routes(app, db)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.SockSite(runner, sock).start()
        log.info("worker.listening", url=url_of(sock))
        yield
    finally:
        await runner.cleanup()
