"""`leaver history`: what a person left in the app, exported or erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.inputs import confirm
from console.cli.options import AsJson, ConnectionReference, UserReference, Yes
from console.cli.output import View, show

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(
    no_args_is_help=True,
    help="Assessment results: kept when access ends; export what a person left, or erase it.",
)

Holder = Annotated[
    int | None,
    typer.Option(min=1, help="Number of an earlier holder of the account; without it the present one."),
]


@app.command("export")
def export(
    connection: ConnectionReference, user: UserReference, holder: Holder = None, as_json: AsJson = False
) -> None:
    """Show all that is kept of a person, in every account that stood for the person.

    With --json the whole of it, for a request of access by the person.
    """
    from console.admin.history import person_history
    from console.cli.session import run
    from console.cli.views import people as views

    async def work(services: Services, actor: Actor) -> View:
        return views.history_exported(await person_history.export(services, actor, connection, user, holder))

    show(run(work), as_json=as_json)


@app.command("erase")
def erase(
    connection: ConnectionReference,
    user: UserReference,
    reason: Annotated[str, typer.Option(help="Why, for the trace that stays: no personal data.")],
    holder: Holder = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase a person's results for good, in every account that stood for the person.

    A trace stays: how many, when, by which operator and why. Account, logs and receipts
    stay too.
    """
    from console.admin.history import person_history
    from console.cli.session import run
    from console.cli.views import people as views

    async def look(services: Services, actor: Actor) -> person_history.PersonHistory:
        return await person_history.export(services, actor, connection, user, holder)

    if not yes:
        found = run(look)
        count = sum(len(each.results) for each in found.accounts)
        confirm(f"Erase {count} results of {found.user.user_name} for good?")

    async def work(services: Services, actor: Actor) -> View:
        return views.history_erased(
            await person_history.erase(services, actor, connection, user, reason, holder)
        )

    show(run(work), as_json=as_json)
