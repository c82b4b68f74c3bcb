"""`leaver tenant`: the customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.inputs import confirm
from console.cli.options import AsJson, PageLimit, People, TenantReference, Yes
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
    slug: Annotated[
        str | None,
        typer.Option(help="What you type instead, letters a-z, digits and -. [default: made from NAME]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a tenant. Its slug, made from the name, is what you type from then on."""
    from console.admin import tenants
    from console.cli.session import run
    from console.cli.views import connections as views

    async def work(services: Services, actor: Actor) -> View:
        return views.tenant_created(await tenants.create(services, actor, name, slug))

    show(run(work), as_json=as_json)


@app.command("delete")
def delete(tenant: TenantReference, people: People, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a tenant with its connections: numbers first, then it asks.

    Accounts, logs and history are kept; the audit log is read by the tenant's id.
    Refused while a cycle runs.
    """
    from console.admin import deletion
    from console.cli.session import run
    from console.cli.views import deletion as views

    effect = run(lambda services, actor: deletion.tenant_effect(services, actor, tenant))
    if not yes:
        confirm(views.tenant_asked(effect, people))

    async def work(services: Services, actor: Actor) -> View:
        return views.tenant_deleted(
            await deletion.delete_tenant(services, actor, effect.tenant.id, people), people
        )

    show(run(work), as_json=as_json)


@app.command("audit")
def audit(
    tenant: TenantReference,
    limit: PageLimit = 50,
    before: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="The `next` of the page before: older entries.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show who did what to a tenant and its connections, deleted ones too.

    A deleted tenant is known by its id.
    """
    from console.admin import tenants
    from console.cli.session import run
    from console.cli.views import log as views

    async def work(services: Services, actor: Actor) -> View:
        return views.audited(await tenants.audit_page(services, actor, tenant, before=before, limit=limit))

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
