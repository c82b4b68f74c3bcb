"""`leaver sync` and `leaver provision`: run now, with live progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import FLAG, AsJson, ConnectionReference
from console.cli.output import complain, show
from console.errors import WrongUse

if TYPE_CHECKING:
    from console.admin.run_now import RunObserver
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
    """Run a cycle now: read Entra, compare, repair (enforce) or report (report).

    A running worker does it while you watch; without one this command does it itself.
    Exit status 3: done, but drift remains or a plan is held.
    """
    from console.admin import run_now
    from console.cli.session import run
    from console.cli.views import cycles as views
    from worker.cycle.run import CycleRequest

    request, observer = CycleRequest(full, dry_run), _observer("waiting for the cycle to begin")
    report = run(lambda services, actor: run_now.sync(services, actor, connection, request, observer))
    if failure := views.failure(report):
        complain(failure)
    if as_json or not failure:
        show(views.synced(report), as_json=as_json)
    return views.exit_code(report)


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
    while_paused: Annotated[
        bool,
        typer.Option(
            "--while-paused",
            metavar=FLAG,
            help="Do it although the connection is paused: somebody must go now.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Provision or deprovision users and groups now, and see each step.

    Creates users that are assigned and disables users that no longer are; also users
    that Entra's own *Provision on demand* refuses (disabled, deleted, restored), and
    whole groups of any size.

    Exit status 3: done, but something differs that was left as it is, and the output
    says why.
    """
    from console.admin import run_now
    from console.cli.session import run
    from console.cli.views import provisioning as views

    wanted = _read_subjects(subjects or [], file)
    request = run_now.ProvisionRequest(
        wanted.subjects, is_dry_run=dry_run, asks_entra=ask_entra, while_paused=while_paused
    )
    observer = _observer("provisioning on demand")
    reports = run(lambda services, actor: run_now.provision(services, actor, connection, request, observer))
    is_list = file is not None or len(subjects or []) > 1
    if is_list:
        show(views.listed(reports, repeated=wanted.repeated), as_json=as_json)
    else:
        show(views.provisioned(reports[0]), as_json=as_json)
    if failure := views.failure(reports):
        complain(failure)
    return views.exit_code(reports)


def _observer(at_first: str) -> RunObserver:
    """Return a progress bar, and a line on stderr for a run that has to end first."""
    from console.admin.run_now import RunObserver
    from console.cli.progress_bar import watching
    from console.cli.views.cycles import waiting

    return RunObserver(
        watching=lambda connection: watching(f"{connection.name}: {at_first}"),
        say=lambda busy: complain(waiting(busy)),
    )


def _read_subjects(words: list[str], file: str | None) -> SubjectList:
    """Return the subjects of the command.

    Raises `WrongUse` before anything is done, after every refused line was named.
    """
    from console.cli import subject_lists

    if words == [subject_lists.STANDARD_INPUT] and file is None:
        words, file = [], subject_lists.STANDARD_INPUT
    if bool(words) == bool(file):
        why = "both SUBJECT and --file were given" if words else "neither SUBJECT nor --file was given"
        raise WrongUse("whom to provision", why, "Give users and groups, or one file with them")
    if file is None:
        return subject_lists.typed(words)
    read = subject_lists.listed(file)
    for line in read.refused:
        complain(f"{file}, line {line.number}: {line.why}.")
    if read.refused:
        lines = f"{len(read.refused)} line" + ("s" if len(read.refused) > 1 else "")
        why = f"{lines} of it cannot be meant"
        raise WrongUse(f"--file {file}", why, "Correct them and run the command again; nothing was done")
    return read
