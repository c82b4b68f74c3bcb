"""`leaver log` and `leaver audit`: what was provisioned, and who changed what."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.inputs import one_or_all
from console.cli.options import FLAG, AllConnections, AsJson, ConnectionReference, OptionalConnection
from console.cli.output import View, show
from store.records import LogStatus

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services


class PrintFormat(StrEnum):
    """How a log is printed."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


HowToPrint = Annotated[PrintFormat, typer.Option("--format", help="csv: one column a fact.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="Entries on one page.")]
Before = Annotated[int | None, typer.Option(help="The page after: the `next` of the page before.")]


def log(
    connection: OptionalConnection = None,
    all_: AllConnections = False,
    user: Annotated[
        str | None, typer.Option(help="Only this user or group: userName, displayName, or id.")
    ] = None,
    status: Annotated[LogStatus | None, typer.Option(help="Only attempts that ended so.")] = None,
    correlation: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Only what has this id: Entra's ActivityId, X-Request-Id, or a cycle's."
        ),
    ] = None,
    limit: Limit = 50,
    before: Before = None,
    format_: HowToPrint = PrintFormat.TEXT,
    long: Annotated[
        bool, typer.Option("--long", metavar=FLAG, help="Values too, here before and after.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the provisioning log: every change that was attempted, newest first.

    Action, status, who wrote it, and the names of the attributes that changed.
    """
    from console.admin.connections import overview
    from console.admin.reports import provisioning_log
    from console.cli.session import run
    from console.cli.views import log as views
    from console.rendering.log_evidence import log_csv

    wanted = one_or_all(connection, all_=all_)
    query = provisioning_log.LogQuery(user, status, correlation, before, limit)

    async def work(services: Services, actor: Actor) -> View | str:
        page = await provisioning_log.log(services, actor, wanted, query)
        if format_ is PrintFormat.CSV:
            return log_csv(page.entries, page.names or await overview.names(services, actor))
        return views.listed(page, is_filtered=query.is_filtered, shows_values=long)

    _print(run(work), as_json=as_json or format_ is PrintFormat.JSON)


def audit(
    connection: ConnectionReference,
    limit: Limit = 50,
    before: Before = None,
    format_: HowToPrint = PrintFormat.TEXT,
    as_json: AsJson = False,
) -> None:
    """Show who did what to a connection, its tokens and its held plans; newest first.

    Made, changed, rotated, suspended, revoked, approved, rejected; and every sync and
    provisioning that a person asked for. What happened to users and groups is in
    `leaver log`.
    """
    from console.admin import audit as use_cases
    from console.admin.connections import overview
    from console.cli.session import run
    from console.cli.views import log as views
    from console.rendering.log_evidence import audit_csv

    async def work(services: Services, actor: Actor) -> View | str:
        page = await use_cases.entries(services, actor, connection, before=before, limit=limit)
        if format_ is PrintFormat.CSV:
            return audit_csv(page.entries, await overview.names(services, actor))
        return views.audited(page)

    _print(run(work), as_json=as_json or format_ is PrintFormat.JSON)


def _print(found: View | str, *, as_json: bool) -> None:
    if isinstance(found, str):
        sys.stdout.write(found)
    else:
        show(found, as_json=as_json)
