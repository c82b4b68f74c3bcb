"""Run the worker, with health and metrics beside it where a port is set."""

from __future__ import annotations

from config.settings import Settings, load_settings
from console.admin.services import make_sealer
from console.server import health
from console.server.health import Readiness
from console.server.listen import listen
from worker.process import Beside, main


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
    return lambda db: health.answering(sock, Readiness(db, settings.database_url, runs_jobs=True))
