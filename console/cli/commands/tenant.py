"""`leaver tenant`: the customers."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.options import AsJson
from console.cli.output import View, show

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
    from console.admin.services import Services, run
    from console.cli.views import tenants as views
    from console.errors import WrongUse
    from store.errors import UniquenessConflict
    from store.tenancy import tenants

    async def work(services: Services) -> View:
        try:
            made = await services.db.write(lambda connection: tenants.create(connection, name))
        except UniquenessConflict:
            raise WrongUse(
                f"tenant {name!r}",
                "another tenant has the slug that is made from this name",
                "Choose another name, or use the one that is there: leaver tenant list",
            ) from None
        return views.created(made)

    show(run(work), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all tenants."""
    from console.admin.services import Services, run
    from console.cli.views import tenants as views
    from store.tenancy import tenants

    async def work(services: Services) -> View:
        async with services.db.reading() as connection:
            return views.listed(await tenants.list_all(connection))

    show(run(work), as_json=as_json)
