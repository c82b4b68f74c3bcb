"""`leaver drift`: reports to read and to export."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.inputs import one_or_all
from console.cli.options import AllConnections, AsJson, ConnectionReference, OptionalConnection, ShowAll
from console.cli.output import View, show, write
from store.records import DriftKind

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(
    no_args_is_help=True,
    help="Drift reports: every difference between Entra and the store, one report a cycle.",
)

CycleReference = Annotated[
    str | None, typer.Option("--cycle", metavar="ID", help="The report of this cycle; default: the latest.")
]


class Format(StrEnum):
    """How a report is printed or written."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


@app.command("list")
def list_(
    connection: OptionalConnection = None,
    all_: AllConnections = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Reports on one page.")] = 50,
    before: Annotated[
        str | None, typer.Option(metavar="ID", help="The page after: the `next` of the page before.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the reports of a connection, or of all, newest first: one a cycle.

    What was provisioned on demand is no cycle; `leaver cycle list` has both.
    """
    from console.admin.reports import cycles
    from console.cli.session import run
    from console.cli.views import drift as views

    wanted = one_or_all(connection, all_=all_)

    async def work(services: Services, actor: Actor) -> View:
        query = cycles.CycleQuery(before=before, limit=limit, on_demand=False)
        return views.listed(await cycles.list_page(services, actor, wanted, query))

    show(run(work), as_json=as_json)


@app.command("show")
def show_(
    connection: ConnectionReference,
    cycle: CycleReference = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.TEXT,
    kind: Annotated[DriftKind | None, typer.Option(help="Only findings of this kind.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="The most findings; text is cut to 200 lines besides.")
    ] = None,
    all_: ShowAll = False,
    as_json: AsJson = False,
) -> None:
    """Show what the last cycle found: in numbers, then each finding.

    Who, why, here and in Entra, since when, and whether it is repaired.
    """
    from console.admin.reports import cycles
    from console.cli.session import run
    from console.cli.views import drift as views

    format_ = Format.JSON if as_json else format_
    found = run(lambda services, actor: cycles.drift_report(services, actor, connection, cycle))
    if format_ in (Format.TEXT, Format.JSON):
        show(views.shown(found, kind=kind, limit=limit, shows_all=all_), as_json=format_ is Format.JSON)
    else:
        sys.stdout.write(views.RENDERINGS[format_](found))


@app.command("export")
def export(
    connection: ConnectionReference,
    cycle: CycleReference = None,
    format_: Annotated[
        Format, typer.Option("--format", help="csv for a spreadsheet, html to file.")
    ] = Format.CSV,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a report for an auditor or a ticket."""
    from console.admin.reports import cycles
    from console.cli.session import run
    from console.cli.views import drift as views

    found = run(lambda services, actor: cycles.drift_report(services, actor, connection, cycle))
    written = views.RENDERINGS[Format.JSON if as_json else format_](found)
    write(written, output)
