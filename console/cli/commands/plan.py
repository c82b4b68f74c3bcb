"""`leaver plan`: removals that wait for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import FLAG, AsJson, PlanReference, ShowAll
from console.cli.output import View, show, write
from store.records import PlanStatus

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(
    no_args_is_help=True,
    help="Held plans: removals above the safety limits. You approve exactly what you saw, by checksum.",
)


class PlanFormat(StrEnum):
    """How a plan is written."""

    CSV = "csv"
    JSON = "json"


By = Annotated[str | None, typer.Option("--by", help="Who decides; default: the user of this shell.")]


@app.command("list")
def list_(
    connection: Annotated[
        str | None, typer.Argument(metavar="[CONNECTION]", help="Only this connection's.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", metavar=FLAG, help="Decided and expired plans too.")] = False,
    status: Annotated[PlanStatus, typer.Option(help="Only plans of this status.")] = PlanStatus.HELD,
    as_json: AsJson = False,
) -> None:
    """List the plans that wait for a decision, or those of another status."""
    from console.admin import held_plans
    from console.admin.connections import overview
    from console.cli.session import run
    from console.cli.views import plans as views

    async def work(services: Services, actor: Actor) -> View:
        found = await held_plans.list_all(services, actor, connection, all_states=all_, status=status)
        return views.listed(found, await overview.names(services, actor), status=None if all_ else status)

    show(run(work), as_json=as_json)


@app.command("show")
def show_(plan: PlanReference, all_: ShowAll = False, as_json: AsJson = False) -> None:
    """Show what a plan would do: numbers first, then the rows with their reasons."""
    from console.admin import held_plans
    from console.admin.connections import overview
    from console.cli.session import run
    from console.cli.views import plans as views

    async def work(services: Services, actor: Actor) -> View:
        found = await held_plans.show(services, actor, plan)
        return views.shown(found, await overview.names(services, actor), shows_all=all_)

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
) -> int:
    """Approve exactly the plan with this checksum, and apply it now.

    A running worker applies it while you watch; without one this command does it.
    A plan that changed has another checksum. Every user in it is looked up in Entra
    once more first; a user who came back is left alone.

    Exit status 3: rows of it go on waiting, or were left alone.
    """
    from console.admin import held_plans
    from console.admin.connections import overview
    from console.admin.run_now import RunObserver
    from console.cli.progress_bar import watching
    from console.cli.session import run
    from console.cli.views import plans as views

    observer = RunObserver(watching=lambda connection: watching(f"{connection.name}: applying the plan"))

    async def work(services: Services, actor: Actor) -> tuple[View, int]:
        decided = await held_plans.approve(services, actor, plan, rows=row or [], by=by, observer=observer)
        return views.applied(decided, await overview.names(services, actor)), views.exit_code(decided)

    view, code = run(work)
    show(view, as_json=as_json)
    return code


@app.command("reject")
def reject(
    plan: PlanReference,
    row: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Only this row of `plan show`; may be given several times. Default: all."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Accept the risk until this day. Default: until Entra's facts change."
        ),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Reject a plan, or some of its rows: nothing of it happens.

    The rows are an accepted risk: every report shows them with who decided, and no
    cycle asks again until the facts in Entra change, or until the day given.
    """
    from console.admin import held_plans
    from console.admin.connections import overview
    from console.cli.session import run
    from console.cli.views import plans as views

    async def work(services: Services, actor: Actor) -> View:
        day = until.replace(tzinfo=UTC) if until else None
        decided = await held_plans.reject(services, actor, plan, rows=row or [], until=day, by=by)
        return views.rejected(decided, await overview.names(services, actor))

    show(run(work), as_json=as_json)


@app.command("export")
def export(
    plan: PlanReference,
    format_: Annotated[
        PlanFormat, typer.Option("--format", help="csv for a spreadsheet, json for a program.")
    ] = PlanFormat.CSV,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a plan for a ticket or an auditor: one line a row, with its state."""
    from console.admin import held_plans
    from console.admin.connections import overview
    from console.cli.session import run
    from console.cli.views import plans as views

    format_ = PlanFormat.JSON if as_json else format_

    async def work(services: Services, actor: Actor) -> str:
        found = await held_plans.show(services, actor, plan)
        return views.RENDERINGS[format_](found, await overview.names(services, actor))

    write(run(work), output)
