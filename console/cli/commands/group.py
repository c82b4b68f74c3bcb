"""`leaver group`: groups and their members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import After, AsJson, ConnectionReference, NamePart, PageLimit
from console.cli.output import View, show

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(no_args_is_help=True, help="Groups of a connection, and who is in them.")


@app.command("list")
def list_(
    connection: ConnectionReference,
    name: NamePart = None,
    limit: PageLimit = 50,
    after: After = 0,
    as_json: AsJson = False,
) -> None:
    """List groups in the order in which they were made, a page at a time."""
    from console.admin.people import groups
    from console.cli.session import run
    from console.cli.views import people as views

    async def work(services: Services, actor: Actor) -> View:
        found = await groups.list_page(services, actor, connection, name=name, after=after, limit=limit)
        return views.groups_listed(found, is_filtered=bool(name) or after > 0)

    show(run(work), as_json=as_json)


@app.command("show")
def show_(
    connection: ConnectionReference,
    group: Annotated[
        str, typer.Argument(metavar="GROUP", help="displayName, id or Entra object id of the group.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show a group with its direct members."""
    from console.admin.people import groups
    from console.cli.session import run
    from console.cli.views import people as views

    async def work(services: Services, actor: Actor) -> View:
        return views.group_shown(await groups.show(services, actor, connection, group))

    show(run(work), as_json=as_json)
