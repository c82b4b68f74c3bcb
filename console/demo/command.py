"""`leaver demo`: the whole story on one machine."""

from __future__ import annotations

from typing import Annotated

import typer

from console import errors
from console.cli.options import FLAG, AsJson


def demo(
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", metavar=FLAG, help="Leave everything running; print URLs and a token; Ctrl-C ends it."
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """See it work: seven people leave, Entra's push misses them, Leaver finds and stops them.

    Starts a simulated Entra tenant, the server and the worker on SQLite in a temporary folder. Needs nothing
    else, takes about half a minute, leaves nothing behind. Every claim is checked against the simulator.
    """
    from console.demo import run

    return errors.DONE if run.run_demo(keep=keep, as_json=as_json) else errors.FAILED
