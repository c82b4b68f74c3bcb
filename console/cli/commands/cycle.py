"""`leaver cycle`: the runs over a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import AsJson, ConnectionReference, PageLimit
from console.cli.output import View, show
from store.records import CycleKind, CycleStatus

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(
    no_args_is_help=True, help="Cycles of a connection: when, how much was read, what came of it."
)


@app.command("list")
def list_(
    connection: ConnectionReference,
    kind: Annotated[CycleKind | None, typer.Option(help="Only cycles of this kind.")] = None,
    status: Annotated[CycleStatus | None, typer.Option(help="Only cycles that ended so.")] = None,
    limit: PageLimit = 50,
    before: Annotated[
        str | None, typer.Option(metavar="ID", help="The `next` of the page before: older ones.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List cycles and on-demand runs, the newest first, a page at a time."""
    from console.admin.reports import cycles
    from console.cli.session import run
    from console.cli.views import cycles as views

    query = cycles.CycleQuery(kind, status, before, limit)

    async def work(services: Services, actor: Actor) -> View:
        found = await cycles.list_page(services, actor, connection, query)
        return views.listed(found, is_filtered=query.is_filtered)

    show(run(work), as_json=as_json)


@app.command("show")
def show_(
    connection: ConnectionReference,
    cycle: Annotated[str, typer.Argument(metavar="CYCLE", help="Id of the cycle.")],
    as_json: AsJson = False,
) -> None:
    """Show a cycle: why it read everything, what it read, found and changed."""
    from console.admin.reports import cycles
    from console.cli.session import run
    from console.cli.views import cycles as views

    async def work(services: Services, actor: Actor) -> View:
        return views.shown(await cycles.get(services, actor, connection, cycle))

    show(run(work), as_json=as_json)
