"""`leaver session`: who is signed in, what ended and why, and ending it by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import AsJson, ConnectionReference, UserReference
from console.cli.output import View, show
from console.errors import WrongUse

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(
    no_args_is_help=True, help="Sessions of an account: list them, see what ended with its access, end them."
)


@app.command("list")
def list_(connection: ConnectionReference, user: UserReference, as_json: AsJson = False) -> None:
    """List an account's sessions and receipts, the newest first."""
    from console.admin.sessions import account_sessions
    from console.cli.session import run
    from console.cli.views import people as views

    async def work(services: Services, actor: Actor) -> View:
        return views.sessions_listed(await account_sessions.list_for_user(services, actor, connection, user))

    show(run(work), as_json=as_json)


@app.command("end")
def end(
    connection: ConnectionReference,
    session: Annotated[
        str | None, typer.Argument(metavar="[SESSION]", help="Id of the session, as `session list` shows it.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="End every session of this account: userName or id.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """End one session, or with --user all of an account.

    Access stays: the person can sign in again.
    """
    from console.admin.sessions import account_sessions
    from console.cli.session import run
    from console.cli.views import people as views

    async def work(services: Services, actor: Actor) -> View:
        if session is not None and user is None:
            return views.session_ended(await account_sessions.end(services, actor, connection, session))
        if user is not None and session is None:
            return views.sessions_ended(await account_sessions.end_all(services, actor, connection, user))
        raise WrongUse("SESSION or --user", "exactly one of them says what ends", "Give one of them")

    show(run(work), as_json=as_json)
