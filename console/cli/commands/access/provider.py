"""`leaver provider`: sign-in by a standard OpenID provider other than Entra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import inputs
from console.cli.options import AsJson, ConnectionReference, UserReference
from console.cli.output import View, show

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(no_args_is_help=True, help="Sign-in by another OpenID provider than Entra.")


@app.command("show")
def show_(connection: ConnectionReference, as_json: AsJson = False) -> None:
    """Show by what people sign in, and which addresses to register there."""
    from console.admin.connections import openid_provider
    from console.cli.commands.access.views import sign_in_provider
    from console.cli.session import run

    async def work(services: Services, actor: Actor) -> View:
        found = await openid_provider.show(services, actor, connection)
        return sign_in_provider(found, services.settings)

    show(run(work), as_json=as_json)


@app.command("set")
def set_(
    connection: ConnectionReference,
    issuer: Annotated[str, typer.Option(help="The issuer, letter by letter as its tokens name it.")],
    client_id: Annotated[str, typer.Option(help="Leaver's registration with the provider.")],
    client_secret: Annotated[
        str, typer.Option(help="Its secret: @FILE, or - for standard input (or a value).")
    ],
    link_claim: Annotated[
        str | None,
        typer.Option(help="A claim with the account's externalId or object id: it links at first sign-in."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign people in by this provider from now on.

    Without --link-claim an administrator links each person: `leaver provider link`.
    """
    from console.admin.connections import openid_provider
    from console.admin.connections.openid_provider import NewProvider
    from console.cli.session import run

    secret = inputs.secret(client_secret, "--client-secret")
    wanted = NewProvider(issuer, client_id, secret, link_claim)

    async def work(services: Services, actor: Actor) -> View:
        made = await openid_provider.set_provider(services, actor, connection, wanted)
        document = {"issuer": made.issuer, "client_id": made.client_id, "link_claim": made.link_claim}
        return View(document, lambda: f"People sign in by {made.issuer}.")

    show(run(work), as_json=as_json)


@app.command("remove")
def remove(connection: ConnectionReference, as_json: AsJson = False) -> None:
    """Sign people in by Entra again."""
    from console.admin.connections import openid_provider
    from console.cli.session import run

    removed = run(lambda services, actor: openid_provider.remove_provider(services, actor, connection))
    text = "People sign in by Entra." if removed else "There was no other provider than Entra."
    show(View({"removed": removed}, lambda: text), as_json=as_json)


@app.command("link")
def link(
    connection: ConnectionReference,
    user: UserReference,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="`sub` of the person's tokens.")],
    as_json: AsJson = False,
) -> None:
    """Say that a subject of the provider is the holder of an account."""
    from console.admin.connections import openid_provider
    from console.cli.session import run
    from console.documents import connections as documents

    account = run(lambda services, actor: openid_provider.link(services, actor, connection, user, subject))
    document = documents.linked_person(account, subject)
    show(View(document, lambda: f"{subject} signs in as {account.user_name}."), as_json=as_json)
