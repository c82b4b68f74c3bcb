"""`leaver log`: the provisioning log."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.options import AsJson, ConnectionReference
from console.cli.output import View, show
from store.records import LogStatus


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
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Entries on one page.")] = 50,
    before: Annotated[int | None, typer.Option(help="The page after: the `next` of the page before.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the provisioning log: every attempted change, by push and by pull, newest first.

    Action, status, who wrote it, and each attribute with its old and new value.
    """
    from console.admin import reports
    from console.admin.services import Services, run
    from console.cli.views import log as views

    is_filtered = any(each is not None for each in (user, status, correlation, before))

    async def work(services: Services) -> View:
        page = await reports.log(services, connection, user, status, limit, before, correlation)
        return views.listed(page, is_filtered=is_filtered)

    show(run(work), as_json=as_json)
