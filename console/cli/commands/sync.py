"""`leaver sync` and `leaver provision`: do it now, and watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import FLAG, AsJson, ConnectionReference
from console.cli.output import complain, show
from console.errors import WrongUse

if TYPE_CHECKING:
    from console.cli.subject_lists import SubjectList

DryRun = Annotated[bool, typer.Option("--dry-run", metavar=FLAG, help="Find out and print; change nothing.")]


def sync(
    connection: ConnectionReference,
    full: Annotated[
        bool, typer.Option("--full", metavar=FLAG, help="Read everything anew, even where a delta would do.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Run a cycle now: read Entra, compare, repair (mode enforce) or report (mode report).

    A running worker does it while you watch; without one this command does it itself.
    Exit status 3: done, but drift remains or a plan is held.
    """
    from console.admin import run_now
    from console.admin.services import run
    from console.cli.views import cycles as views

    finished = run(lambda services: run_now.sync(services, connection, full=full, dry_run=dry_run))
    if failure := views.failure(finished.result):
        complain(failure)
    if as_json or not failure:
        show(views.synced(finished.result), as_json=as_json)
    return views.exit_code(finished.result, finished.remaining)


def provision(
    connection: ConnectionReference,
    subjects: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SUBJECT",
            help="Users (UPN, object id, e-mail) and groups (displayName, object id). `-`: as `--file -`.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            metavar="PATH",
            help="Take them from a file, or from standard input (`-`): one a line, or the first column of a"
            " CSV. Blank lines and lines that begin with # are passed over.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", metavar=FLAG, help="Show every step and what would be written; change nothing."
        ),
    ] = False,
    ask_entra: Annotated[
        bool,
        typer.Option(
            "--ask-entra",
            metavar=FLAG,
            help="Afterwards ask Entra's provisioning service to do the same, and show its answer."
            " Needs the permission Synchronization.ReadWrite.All.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Provision or deprovision users and groups now, and see each step.

    Does what Entra's truth asks for: creates who is assigned, disables who is not any more, also people whom
    Entra's own *Provision on demand* refuses (disabled, deleted, restored) and whole groups of any size.

    Exit status 3: done, but something differs that was left as it is, and the output says why.
    """
    from console.admin import run_now
    from console.admin.services import run
    from console.cli.views import provisioning as views

    asked = _asked(subjects or [], file)
    wish = run_now.Provisioning(asked.subjects, is_dry_run=dry_run, asks_entra=ask_entra)
    results = run(lambda services: run_now.provision(services, connection, wish))
    is_list = file is not None or len(subjects or []) > 1
    if is_list:
        show(views.listed(results, repeated=asked.repeated), as_json=as_json)
    else:
        show(views.provisioned(results[0]), as_json=as_json)
    if failure := views.failure(results):
        complain(failure)
    return views.exit_code(results)


def _asked(words: list[str], file: str | None) -> SubjectList:
    """Whom the command is about; raises `WrongUse`, every refused line named, before anything is done."""
    from console.cli import subject_lists

    if words == [subject_lists.STANDARD_INPUT] and file is None:
        words, file = [], subject_lists.STANDARD_INPUT
    if bool(words) == bool(file):
        why = "both SUBJECT and --file were given" if words else "neither SUBJECT nor --file was given"
        raise WrongUse("whom to provision", why, "Give users and groups, or one file with them")
    if file is None:
        return subject_lists.typed(words)
    asked = subject_lists.listed(file)
    for line in asked.refused:
        complain(f"{file}, line {line.number}: {line.why}.")
    if asked.refused:
        lines = f"{len(asked.refused)} line" + ("s" if len(asked.refused) > 1 else "")
        why = f"{lines} of it cannot be meant"
        raise WrongUse(f"--file {file}", why, "Correct them and run the command again; nothing was done")
    return asked
