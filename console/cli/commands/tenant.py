"""`leaver tenant`: the customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import AsJson
from console.cli.output import View, show

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(
    no_args_is_help=True, help="Your customers. Every connection, user and log entry belongs to one."
)


@app.command("create")
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What people call the customer, for example 'Fabrikam'.")
    ],
    as_json: AsJson = False,
) -> None:
    """Create a tenant. Its slug, made from the name, is what you type from then on."""
    from console.admin import tenants
    from console.cli.session import run
    from console.cli.views import connections as views

    async def work(services: Services, actor: Actor) -> View:
        return views.tenant_created(await tenants.create(services, actor, name))

    show(run(work), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all tenants."""
    from console.admin import tenants
    from console.cli.session import run
    from console.cli.views import connections as views

    async def work(services: Services, actor: Actor) -> View:
        return views.tenants_listed(await tenants.list_all(services, actor))

    show(run(work), as_json=as_json)
