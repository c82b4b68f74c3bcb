"""`leaver setup`: the checklist of a connection, and links for a customer's admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import AsJson
from console.cli.output import View, show
from store.access.records import LinkKind

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(no_args_is_help=True, help="Set-up of a connection: checklist, and links for the customer.")

Reference = Annotated[str, typer.Argument(metavar="CONNECTION", help="Name, TENANT/NAME or id.")]


@app.command("show")
def show_(connection: Reference, as_json: AsJson = False) -> None:
    """Show which steps were seen done, when, and how that is known."""
    from console.admin.setup import checklist
    from console.cli.commands.access import views
    from console.cli.session import run

    async def work(services: Services, actor: Actor) -> View:
        return views.setup(await checklist.show(services, actor, connection), services.settings)

    show(run(work), as_json=as_json)


@app.command("link")
def link(connection: Reference, as_json: AsJson = False) -> None:
    """Print a link by which a customer's admin connects Entra without an account.

    It is opened once and ends after 3 days.
    """
    from console.admin.setup import links
    from console.cli.commands.access import views
    from console.cli.session import run

    async def work(services: Services, actor: Actor) -> View:
        made = await links.create_setup_link(services, actor, connection)
        return views.created_link(made.link, made.secret, services.settings)

    show(run(work), as_json=as_json)


@app.command("status-link")
def status_link(
    connection: Reference,
    frame: Annotated[
        list[str] | None,
        typer.Option("--frame", metavar="ORIGIN", help="May show it in a frame: https://app.example."),
    ] = None,
    sync: Annotated[bool, typer.Option("--sync", help="The page offers Sync now.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a link to a page with the state of the connection, for a year."""
    from console.admin.setup import links
    from console.cli.commands.access import views
    from console.cli.session import run

    async def work(services: Services, actor: Actor) -> View:
        made = await links.create_status_link(services, actor, connection, frame or (), may_sync=sync)
        return views.created_link(made.link, made.secret, services.settings)

    show(run(work), as_json=as_json)


@app.command("links")
def links_(connection: Reference, as_json: AsJson = False) -> None:
    """List the links of a connection: who opened them, when, from where."""
    from console.admin.setup import links
    from console.cli.commands.access import views
    from console.cli.session import run

    async def work(services: Services, actor: Actor) -> View:
        kinds = (LinkKind.SETUP, LinkKind.STATUS)
        return views.links([x for k in kinds for x in await links.list_for(services, actor, connection, k)])

    show(run(work), as_json=as_json)


@app.command("revoke")
def revoke(
    connection: Reference,
    link: Annotated[str, typer.Argument(metavar="LINK", help="Id of the link.")],
    as_json: AsJson = False,
) -> None:
    """End a link at once, with the session that it opened."""
    from console.admin.setup import links
    from console.cli.commands.access import views
    from console.cli.session import run

    async def work(services: Services, actor: Actor) -> View:
        return views.revoked(await links.revoke(services, actor, connection, link))

    show(run(work), as_json=as_json)
