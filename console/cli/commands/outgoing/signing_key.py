"""`leaver signing-key`: the keys that sign security event tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import AsJson
from console.cli.output import View, show

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(no_args_is_help=True, help="Keys that sign security event tokens (SSF).")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the keys that receivers verify with, the newest first."""
    from console.admin.events import signing_keys
    from console.cli.session import run
    from console.cli.views import events as views

    async def work(services: Services, actor: Actor) -> View:
        return views.signing_keys(await signing_keys.list_all(services, actor))

    show(run(work), as_json=as_json)


@app.command("rotate")
def rotate(
    now: Annotated[
        bool,
        typer.Option("--now", help="The old key is known to others: drop it, and sign with the new one."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new key: it is published at once, and signs in ten minutes."""
    from console.admin.events import signing_keys
    from console.cli.session import run
    from console.cli.views import events as views

    async def work(services: Services, actor: Actor) -> View:
        return views.signing_keys(await signing_keys.rotate(services, actor, at_once=now))

    show(run(work), as_json=as_json)
