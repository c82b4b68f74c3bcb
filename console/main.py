"""The `leaver` command: its tree, and one line and status for every failure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import typer
from typer.core import TyperGroup

from console import errors, start_commands, streams
from console.cli import output
from console.cli.commands import (
    cycle,
    drift,
    history,
    installation,
    log,
    people,
    plan,
    session,
    status,
    sync,
    tenant,
    token,
)
from console.cli.commands.access import operator, provider, setup
from console.cli.commands.connection import mapping, states
from console.cli.commands.outgoing import event, webhook
from console.cli.options import FLAG

INTERRUPTED = 130
"""The exit status that shells give a process ended by Ctrl-C."""

READING_ORDER = (
    *(
        "demo",
        "doctor",
        "serve",
        "worker",
        "simulator",
        "db",
        "secret-key",
        "tenant",
        "connection",
        "setup",
        "provider",
        "token",
    ),
    *(
        "status",
        "check",
        "sync",
        "provision",
        "plan",
        "drift",
        "cycle",
        "user",
        "group",
        "session",
        "history",
    ),
    *("log", "audit", "event", "webhook", "signing-key", "operator"),
)
"""The order of the help page: from the first steps to every day."""


class Tree(TyperGroup):
    """The root of the command tree, which lists commands in reading order.

    Typer itself lists groups last.
    """

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Return the names of all commands, as the help page shows them."""
        return list(READING_ORDER)


app = typer.Typer(
    name="leaver",
    cls=Tree,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

START, RUN, SET_UP, DAILY = "Start here", "Run", "Set up a customer", "Every day"

app.command("demo", rich_help_panel=START)(start_commands.demo)
app.command("doctor", rich_help_panel=START)(installation.doctor)
app.command("serve", rich_help_panel=RUN)(start_commands.serve)
app.command("worker", rich_help_panel=RUN)(start_commands.worker)
app.command("simulator", rich_help_panel=RUN)(start_commands.simulator)
app.add_typer(installation.app, name="db", rich_help_panel=RUN)
app.command("secret-key", rich_help_panel=RUN)(installation.secret_key)
app.add_typer(tenant.app, name="tenant", rich_help_panel=SET_UP)
states.app.add_typer(mapping.app, name="mapping")
app.add_typer(states.app, name="connection", rich_help_panel=SET_UP)
app.add_typer(setup.app, name="setup", rich_help_panel=SET_UP)
app.add_typer(provider.app, name="provider", rich_help_panel=SET_UP)
app.add_typer(token.app, name="token", rich_help_panel=SET_UP)
app.command("status", rich_help_panel=DAILY)(status.status)
app.command("check", rich_help_panel=DAILY)(status.check)
app.command("sync", rich_help_panel=DAILY)(sync.sync)
app.command("provision", rich_help_panel=DAILY)(sync.provision)
app.add_typer(plan.app, name="plan", rich_help_panel=DAILY)
app.add_typer(drift.app, name="drift", rich_help_panel=DAILY)
app.add_typer(cycle.app, name="cycle", rich_help_panel=DAILY)
app.add_typer(people.users, name="user", rich_help_panel=DAILY)
app.add_typer(people.groups, name="group", rich_help_panel=DAILY)
app.add_typer(session.app, name="session", rich_help_panel=DAILY)
app.add_typer(history.app, name="history", rich_help_panel=DAILY)
app.command("log", rich_help_panel=DAILY)(log.log)
app.command("audit", rich_help_panel=DAILY)(log.audit)
app.add_typer(event.app, name="event", rich_help_panel=DAILY)
app.add_typer(webhook.app, name="webhook", rich_help_panel=DAILY)
app.add_typer(operator.app, name="operator", rich_help_panel=DAILY)
app.add_typer(event.signing_keys, name="signing-key", rich_help_panel=DAILY)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"leaver {version('leaver')}\n")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", metavar=FLAG, help="On failure show the traceback instead of one line.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar=FLAG,
            callback=_show_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """SCIM tells your app who joined. Leaver makes sure that who left is gone.

    Takes the SCIM push of Microsoft Entra ID, reads Microsoft Graph to see who is
    assigned now, and repairs or reports what the push missed. New here? Run `leaver
    demo`.

    Exit status: 0 done, 1 failed, 2 wrong use, 3 done but drift remains or a plan is
    held.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status."""
    streams.prepare_streams()
    status, lost = errors.DONE, None
    try:
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
    except OSError as error:
        lost = error
    lost = streams.output_error() or lost
    if lost is None:
        return status
    streams.give_up_output()
    if isinstance(lost, BrokenPipeError):  # the reader (`| head`) has seen enough
        return status
    output.complain(f"standard output cannot be written: {lost.strerror}. What was to be done is done.")
    return status or errors.FAILED


def _run(typed: list[str]) -> int:
    debug, as_json = "--debug" in typed, "--json" in typed
    if empty := _empty_option(typed):
        output.complain(
            f"{empty} is empty, most often because a shell variable is not set: give a value, or leave it out."
        )
        return errors.WRONG_USE
    try:
        code = app([word for word in typed if word != "--debug"], prog_name="leaver", standalone_mode=False)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the help page was printed, and says all
            return errors.WRONG_USE
        return _refuse(error, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # Typer's own answer to it is status 1
            raise ended.__context__ from None
        raise
    except Exception as error:
        if debug or streams.is_of_output(error):
            raise
        return _fail(error, as_json=as_json)
    return code if isinstance(code, int) else errors.DONE


def _empty_option(typed: Sequence[str]) -> str | None:
    """Return the option whose value is empty: `--client-secret "$UNSET"`."""
    for word, value in pairwise([*typed, "."]):
        if word.startswith("--") and (value == "" or word.endswith("=")):
            return word.rstrip("=")
    return None


def _fail(error: Exception, *, as_json: bool) -> int:
    """Write the one line of a failed command, and return its exit status.

    With `--json` the same is a document on stdout.
    """
    from console.cli.error_messages import worded

    error = errors.with_code(worded(error), error)
    if as_json:
        output.write(output.json_text(errors.document(error)), None)
    output.complain(errors.explain(error))
    return errors.exit_code(error)


def _refuse(error: typer.TyperException, *, as_json: bool) -> int:
    """Say what is wrong with the command line, and where its help is."""
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context else "leaver"
    said = errors.one_line(error.format_message().replace("Value error, ", ""))
    remedy = f"See: {command} --help"
    if as_json:
        document = {"error": {"code": "wrong_use", "message": said, "remedy": remedy}}
        output.write(output.json_text(document), None)
    output.complain(f"{said} {remedy}")
    return error.exit_code
