"""`leaver token`: the secrets by which Entra and scripts come in."""

from __future__ import annotations

from typing import Annotated

import typer

from console.options import AsJson, ConnectionReference
from console.output import View, show

app = typer.Typer(
    no_args_is_help=True,
    help="API tokens: the Secret Token an admin pastes into Entra. Shown once, stored as a hash.",
)

TokenReference = Annotated[
    str, typer.Argument(metavar="TOKEN", help="Id of the token, or its name where unique.")
]
ExpiresDays = Annotated[
    int | None,
    typer.Option(
        min=1, max=3650, help="Days until it stops working; default: never. Entra does not renew it."
    ),
]


@app.command("create")
def create(
    connection: ConnectionReference,
    name: Annotated[str, typer.Option(help="Where it is used, for example 'entra'.")],
    permission: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SECTION:ACTION",
            help="May be given several times. Default: admin:user:* and admin:group:*, what Entra needs.",
        ),
    ] = None,
    expires_days: ExpiresDays = None,
    as_json: AsJson = False,
) -> None:
    """Generate a token. It is printed once: copy it before you close the window.

    Sections: admin:user, admin:group (create read update delete), admin:sync (read run approve),
    admin:report (read), admin:token. A star means all actions of a section.
    """
    from console import token_work
    from console.services import Services, run
    from console.views import tokens as views

    async def work(services: Services) -> View:
        return views.created(*await token_work.create(services, connection, name, permission, expires_days))

    show(run(work), as_json=as_json)


@app.command("list")
def list_(connection: ConnectionReference, as_json: AsJson = False) -> None:
    """List a connection's tokens: state, expiry, last use. Secrets are not kept, so none is shown."""
    from datetime import UTC, datetime

    from console import references
    from console.services import Services, run
    from console.views import tokens as views
    from store import tokens

    async def work(services: Services) -> View:
        async with services.db.reading() as conn:
            found = await references.connection(conn, connection)
            return views.listed(await tokens.list_for(conn, found.tenant_id, found.id), datetime.now(UTC))

    show(run(work), as_json=as_json)


@app.command("revoke")
def revoke(token: TokenReference, as_json: AsJson = False) -> None:
    """Revoke a token at once and for good. Who still sends it gets 403 and is told why."""
    from console import token_work
    from console.services import Services, run
    from console.views import tokens as views

    async def work(services: Services) -> View:
        return views.revoked(await token_work.revoke(services, token))

    show(run(work), as_json=as_json)


@app.command("rotate")
def rotate(
    token: TokenReference,
    overlap_days: Annotated[
        int, typer.Option(min=0, max=365, help="Days the old token still works; 0 revokes it at once.")
    ] = 7,
    expires_days: ExpiresDays = None,
    as_json: AsJson = False,
) -> None:
    """Generate a successor with the same name and permissions, while the old one still works.

    Paste the new one into Entra, press Test Connection, save.
    """
    from console import token_work
    from console.services import Services, run
    from console.views import tokens as views

    async def work(services: Services) -> View:
        return views.created(*await token_work.rotate(services, token, overlap_days, expires_days))

    show(run(work), as_json=as_json)
