"""The commands that start another face or process: demo, serve, worker, simulator.

They stand beside the entry point, because faces do not import one another.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console import errors
from console.cli.options import FLAG, AsJson

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.process import Beside


def demo(
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", metavar=FLAG, help="Leave everything running; print URLs and a token; Ctrl-C ends it."
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """See it work: seven people leave, Entra's push misses them, Leaver stops them.

    Starts a simulated Entra tenant, the server and the worker on SQLite in a temporary
    folder. Needs nothing else, takes about half a minute, leaves nothing behind. Every
    claim is checked against the simulator.
    """
    from console.demo.scenario import run_demo

    return errors.DONE if run_demo(keep=keep, as_json=as_json) else errors.FAILED


def serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on, 0.0.0.0 for all. [default: LEAVER_HOST, 127.0.0.1]"),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 picks a free one. [default: LEAVER_PORT, 8080]")
    ] = None,
    operations_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Answer /healthz, /readyz and /metrics here. [default: LEAVER_OPERATIONS_PORT, one above --port]",
        ),
    ] = None,
    with_worker: Annotated[
        bool,
        typer.Option(
            "--worker", metavar=FLAG, help="Run the worker in this process too (small installations)."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve HTTP: SCIM for Entra, and on a port of its own /healthz, /readyz, /metrics.

    Needs LEAVER_SECRET_KEY, and an upgraded database (`leaver db upgrade`).
    LEAVER_PUBLIC_URL is what the world calls this server by. With --json one line says
    when it is ready.
    """
    from console.server import app

    app.serve(host, port, operations_port, with_worker=with_worker, as_json=as_json)


def worker(
    host: Annotated[
        str | None, typer.Option(help="Address for --port. [default: LEAVER_WORKER_HOST, 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Answer /healthz, /readyz and /metrics here. [default: LEAVER_WORKER_PORT, nowhere]",
        ),
    ] = None,
) -> None:
    """Run the worker: cycles on schedule, and what sync and provision ask for.

    One process on SQLite, any number on PostgreSQL. SIGTERM hands running work back.
    Needs LEAVER_SECRET_KEY.
    """
    from config.settings import load_settings
    from console.admin.services import make_sealer
    from worker.process import main

    settings = load_settings()
    make_sealer(settings)  # without a key every cycle would fail on the stored credential
    main(_operations(settings, host, port))


def _operations(settings: Settings, host: str | None, port: int | None) -> Beside | None:
    """Take the port before anything is started; return None where none is set."""
    from console.server import health
    from console.server.listen import listen

    wanted = settings.worker_port if port is None else port
    if wanted is None:
        return None
    sock = listen(settings.worker_host if host is None else host, wanted)
    return lambda db: health.answering(sock, health.Readiness(db, settings.database_url, runs_jobs=True))


def simulator(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 0,
    users: Annotated[int, typer.Option(min=0, help="People in the company.")] = 200,
    groups: Annotated[int, typer.Option(min=0, help="Groups in the company.")] = 12,
    seed: Annotated[int, typer.Option(help="The same seed gives the same company.")] = 1,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the company in this file over restarts.")
    ] = None,
) -> None:
    """Run a stand-in Microsoft Entra tenant on this machine, to try and to test with.

    Token endpoint, Microsoft Graph, and Entra's provisioning service as SCIM client,
    with its real gaps and with faults on demand. Prints one JSON line with URLs and
    credentials when it is ready.
    """
    from console.server.listen import refusal
    from simulator.server import HOST, run

    try:
        run(port=port, users=users, groups=groups, seed=seed, state=state)
    except OSError as error:
        raise refusal(HOST, port, error) from error
