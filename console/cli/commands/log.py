"""`leaver log` and `leaver audit`: what was provisioned, and who changed what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import AsJson, ConnectionReference
from console.cli.output import View, show
from store.records import LogStatus

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

Limit = Annotated[int, typer.Option(min=1, max=1000, help="Entries on one page.")]
Before = Annotated[int | None, typer.Option(help="The page after: the `next` of the page before.")]


def log(
    connection: ConnectionReference,
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
    as_json: AsJson = False,
) -> None:
    """Show the provisioning log: every change that was attempted, newest first.

    Action, status, who wrote it, and each attribute with its old and new value.
    """
    from console.admin.reports import provisioning_log
    from console.cli.session import run
    from console.cli.views import log as views

    query = provisioning_log.LogQuery(user, status, correlation, before, limit)

    async def work(services: Services, actor: Actor) -> View:
        page = await provisioning_log.log(services, actor, connection, query)
        return views.listed(page, is_filtered=query.is_filtered)

    show(run(work), as_json=as_json)


def audit(
    connection: ConnectionReference,
    limit: Limit = 50,
    before: Before = None,
    as_json: AsJson = False,
) -> None:
    """Show who did what to a connection, its tokens and its held plans; newest first.

    Made, changed, rotated, suspended, revoked, approved, rejected; and every sync and
    provisioning that a person asked for. What happened to users and groups is in
    `leaver log`.
    """
    from console.admin import audit as use_cases
    from console.cli.session import run
    from console.cli.views import log as views

    async def work(services: Services, actor: Actor) -> View:
        page = await use_cases.entries(services, actor, connection, before=before, limit=limit)
        return views.audited(page)

    show(run(work), as_json=as_json)
