"""`leaver operator`: the people who enter the console by an invitation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import AsJson
from console.cli.output import View, show
from store.access.records import Role

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(no_args_is_help=True, help="Operators: people who enter the console by a one-time link.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The person, for example ada.")]


@app.command("invite")
def invite(
    name: Name,
    role: Annotated[Role | None, typer.Option(help="operator, admin or viewer.")] = None,
    tenant: Annotated[str | None, typer.Option(metavar="TENANT", help="Only this one; default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a link that signs a person in once, within 15 minutes."""
    from console.admin.operators import people
    from console.cli.commands.access import views
    from console.cli.session import run

    async def work(services: Services, actor: Actor) -> View:
        made = await people.invite(services, actor, name, role, tenant)
        return views.invitation(made, services.settings)

    show(run(work), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List operators with role and tenant."""
    from console.admin.operators import people
    from console.cli.commands.access import views
    from console.cli.session import run

    async def work(services: Services, actor: Actor) -> View:
        return views.operators(await people.list_all(services, actor))

    show(run(work), as_json=as_json)


@app.command("remove")
def remove(name: Name, as_json: AsJson = False) -> None:
    """End the access of an operator at once, with every session."""
    from console.admin.operators import people
    from console.cli.commands.access import views
    from console.cli.session import run

    async def work(services: Services, actor: Actor) -> View:
        return views.removed(await people.remove(services, actor, name))

    show(run(work), as_json=as_json)
