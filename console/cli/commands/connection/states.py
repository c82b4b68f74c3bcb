"""`leaver connection`: try a connection, stop and start it, and delete it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.commands.connection.settings import app as app
from console.cli.commands.connection.settings import say_after
from console.cli.inputs import confirm
from console.cli.options import AsJson, ConnectionReference, People, Yes
from console.cli.output import View, show
from store.records import Mode

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services


@app.command("mode")
def mode(
    connection: ConnectionReference,
    mode: Annotated[Mode, typer.Argument(help="report: find drift, change nothing. enforce: repair it.")],
    as_json: AsJson = False,
) -> None:
    """Switch between report (shadow) and enforce.

    Look at a few reports first: `leaver drift show` lists what enforce would have done.
    """
    from console.admin.connections import states

    effects = {
        Mode.REPORT: "is in mode report: it finds drift and changes nothing",
        Mode.ENFORCE: "is in mode enforce: it repairs drift within the safety limits",
    }
    say_after(
        lambda services, actor: states.set_mode(services, actor, connection, mode),
        lambda changed: effects[changed.policy.mode],
        as_json=as_json,
    )


@app.command("test")
def probe(connection: ConnectionReference, as_json: AsJson = False) -> int:
    """Ask Entra for a token and read the application, its assignments and one user.

    Changes nothing.
    """
    from console.admin.checks import doctor
    from console.cli.session import run
    from console.cli.views import checks as views

    checks = run(lambda services, actor: doctor.test_connection(services, actor, connection))
    show(views.shown(checks), as_json=as_json)
    return views.exit_code(checks)


@app.command("pause")
def pause(
    connection: ConnectionReference,
    reason: Annotated[str, typer.Option(help="Why; shown to whoever wonders.")] = "paused by an operator",
    as_json: AsJson = False,
) -> None:
    """Stop push and pull.

    Entra gets 503 with Retry-After and tries again later; nothing is lost.
    """
    from console.admin.connections import states

    say_after(
        lambda services, actor: states.pause(services, actor, connection, reason),
        lambda changed: f"is paused: {changed.paused_reason}. Push gets 503 and tries again",
        as_json=as_json,
    )


@app.command("resume")
def resume(connection: ConnectionReference, as_json: AsJson = False) -> None:
    """End a pause or a quarantine; a cycle is due at once."""
    from console.admin.connections import states

    say_after(
        lambda services, actor: states.resume(services, actor, connection),
        lambda _changed: "works again; a cycle is due now",
        as_json=as_json,
    )


@app.command("release-brake")
def release_brake(
    connection: ConnectionReference,
    for_minutes: Annotated[
        int | None,
        typer.Option(
            help="Let the push remove without a limit for so long, 1 to 1440: a planned offboarding."
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let Entra's push remove again after it met a limit: numbers first, then it asks.

    Look first who would have been removed: `leaver log CONNECTION --status failure`.
    """
    from console.admin.connections import states
    from console.cli.session import run
    from console.cli.views import connections as views

    if not yes:
        details = run(lambda services, actor: states.show_brakes(services, actor, connection))
        confirm(views.asked(details, for_minutes))

    async def work(services: Services, actor: Actor) -> View:
        return views.released(
            await states.release_brakes(services, actor, connection, for_minutes=for_minutes)
        )

    show(run(work), as_json=as_json)


@app.command("delete")
def delete(
    connection: ConnectionReference, people: People, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Delete a connection: numbers first, then it asks.

    Accounts, logs and history are kept; tokens end, and the credential is erased.
    Refused while a cycle runs.
    """
    from console.admin import deletion
    from console.cli.session import run
    from console.cli.views import deletion as views

    effect = run(lambda services, actor: deletion.connection_effect(services, actor, connection))
    if not yes:
        confirm(views.connection_asked(effect, people))

    async def work(services: Services, actor: Actor) -> View:
        done = await deletion.delete_connection(services, actor, effect.connection.id, people)
        return views.connection_deleted(done, people)

    show(run(work), as_json=as_json)
