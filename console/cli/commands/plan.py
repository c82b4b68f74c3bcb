"""`leaver plan`: removals that wait for a person."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.options import FLAG, AsJson, PlanReference
from console.cli.output import View, show

app = typer.Typer(
    no_args_is_help=True,
    help="Held plans: removals above the safety limits. You approve exactly what you saw, by checksum.",
)

By = Annotated[str | None, typer.Option("--by", help="Who decides; default: the user of this shell.")]


@app.command("list")
def list_(
    connection: Annotated[
        str | None, typer.Argument(metavar="[CONNECTION]", help="Only this connection's.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", metavar=FLAG, help="Decided and expired plans too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the plans that wait for a decision."""
    from console.admin import held_plans
    from console.admin.services import Services, run
    from console.cli.views import plans as views

    async def work(services: Services) -> View:
        return views.listed(await held_plans.waiting(services, connection, everything=all_))

    show(run(work), as_json=as_json)


@app.command("show")
def show_(plan: PlanReference, as_json: AsJson = False) -> None:
    """Show what a plan would do: numbers first, then every row with its reason."""
    from console.admin import references
    from console.admin.services import Services, run
    from console.cli.views import plans as views

    async def work(services: Services) -> View:
        async with services.db.reading() as conn:
            return views.shown(await references.plan(conn, plan))

    show(run(work), as_json=as_json)


@app.command("approve")
def approve(
    plan: PlanReference,
    row: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Only this row of `plan show`; may be given several times. Default: all."),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Approve exactly the plan with this checksum, and apply it now; a plan that changed has another one.

    Everybody in it is looked up in Entra once more first; who came back meanwhile is left alone.
    """
    from console.admin import held_plans
    from console.admin.services import Services, run
    from console.cli.views import plans as views

    async def work(services: Services) -> View:
        return views.applied(await held_plans.approve(services, plan, row or [], by))

    show(run(work), as_json=as_json)


@app.command("reject")
def reject(plan: PlanReference, by: By = None, as_json: AsJson = False) -> None:
    """Reject a plan: nothing of it happens. The next cycle looks again."""
    from console.admin import held_plans
    from console.admin.services import Services, run
    from console.cli.views import plans as views

    async def work(services: Services) -> View:
        return views.rejected(await held_plans.reject(services, plan, by))

    show(run(work), as_json=as_json)
