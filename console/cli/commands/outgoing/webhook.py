"""`leaver webhook`: where events are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import AsJson
from console.cli.output import View, show

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(no_args_is_help=True, help="Webhooks: events sent to the vendor's app, signed.")

Reference = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Id of the webhook.")]


@app.command("create")
def create(
    url: Annotated[str, typer.Argument(metavar="URL", help="https only, to a public address.")],
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only these types or families.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(metavar="TENANT", help="Only its events; default: all.")
    ] = None,
    acknowledges: Annotated[
        bool,
        typer.Option(
            "--acknowledges/--no-acknowledges",
            help="It is the app itself: its 2xx for ended access says that the app ended everything too.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send the events from now on to a URL. The secret is printed once."""
    from console.admin.events import webhooks
    from console.cli.session import run
    from console.cli.views import events as views

    async def work(services: Services, actor: Actor) -> View:
        made, secret = await webhooks.create(
            services, actor, url, types or (), tenant, acknowledges=acknowledges
        )
        return views.webhook_with_secret(made, secret)

    show(run(work), as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List webhooks and how their deliveries go."""
    from console.admin.events import webhooks
    from console.cli.session import run
    from console.cli.views import events as views

    async def work(services: Services, actor: Actor) -> View:
        return views.webhooks(await webhooks.list_all(services, actor))

    show(run(work), as_json=as_json)


@app.command("show")
def show_(webhook: Reference, as_json: AsJson = False) -> None:
    """Show a webhook, and the events that it did not take."""
    from console.admin.events import webhooks
    from console.cli.session import run
    from console.cli.views import events as views

    async def work(services: Services, actor: Actor) -> View:
        return views.webhook_details(await webhooks.show(services, actor, webhook))

    show(run(work), as_json=as_json)


@app.command("test")
def send_test(webhook: Reference, as_json: AsJson = False) -> None:
    """Send a test event now; exit status 1 if it is not taken."""
    from console.admin.events import webhooks
    from console.cli.session import run
    from console.cli.views import events as views
    from console.errors import FAILED

    result = run(lambda services, actor: webhooks.send_test(services, actor, webhook))
    show(views.tested(result), as_json=as_json)
    if not result.is_taken:
        raise typer.Exit(FAILED)


@app.command("rotate")
def rotate(
    webhook: Reference,
    overlap_hours: Annotated[int, typer.Option(min=0, max=720, help="Both secrets sign so long.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Make a new secret; both sign until the overlap is over."""
    from console.admin.events import webhooks
    from console.cli.session import run
    from console.cli.views import events as views

    async def work(services: Services, actor: Actor) -> View:
        made, secret = await webhooks.rotate(services, actor, webhook, overlap_hours)
        return views.webhook_with_secret(made, secret)

    show(run(work), as_json=as_json)


@app.command("replay")
def replay(
    webhook: Reference,
    after: Annotated[str, typer.Option("--after", metavar="CURSOR", help="A cursor of the feed.")],
    as_json: AsJson = False,
) -> None:
    """Send everything after a cursor again; a disabled webhook works again."""
    from console.admin.events import webhooks
    from console.cli.session import run
    from console.cli.views import events as views

    async def work(services: Services, actor: Actor) -> View:
        return views.webhooks([await webhooks.replay(services, actor, webhook, after)])

    show(run(work), as_json=as_json)


@app.command("delete")
def delete(webhook: Reference, as_json: AsJson = False) -> None:
    """Delete a webhook; nothing more is sent to it."""
    from console.admin.events import webhooks
    from console.cli.session import run
    from console.cli.views import events as views

    async def work(services: Services, actor: Actor) -> View:
        return views.webhooks([await webhooks.delete(services, actor, webhook)])

    show(run(work), as_json=as_json)
