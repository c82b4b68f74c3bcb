"""`leaver audit`: who set up and changed what."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.options import AsJson, ConnectionReference
from console.cli.output import View, show


def audit(
    connection: ConnectionReference,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Entries on one page.")] = 50,
    before: Annotated[int | None, typer.Option(help="The page after: the `next` of the page before.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show who did what to a connection and its tokens: made, rotated, suspended, revoked; newest first.

    What happened to users and groups is in `leaver log`.
    """
    from console.admin import references
    from console.admin.services import Services, run
    from console.cli.views import audit as views
    from store.logs import audit_log as entries

    async def work(services: Services) -> View:
        async with services.db.reading() as conn:
            found = await references.connection(conn, connection)
            page = await entries.search(conn, found.tenant_id, found.id, before=before, limit=limit)
        return views.listed(page, limit)

    show(run(work), as_json=as_json)
