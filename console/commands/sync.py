"""`leaver sync` and `leaver provision`: do it now, and watch."""

from __future__ import annotations

from typing import Annotated

import typer

from console.options import AsJson, ConnectionReference
from console.output import complain, show

DryRun = Annotated[bool, typer.Option("--dry-run", help="Find out and print; change nothing.")]


def sync(
    connection: ConnectionReference,
    full: Annotated[
        bool, typer.Option("--full", help="Read everything anew, even where a delta would do.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Run a cycle now: read Entra, compare, repair (mode enforce) or report (mode report).

    A running worker does it while you watch; without one this command does it itself.
    Exit status 3: done, but drift remains or a plan is held.
    """
    from console import running
    from console.services import run
    from console.views import cycles as views

    finished = run(lambda services: running.sync(services, connection, full=full, dry_run=dry_run))
    if failure := views.failure(finished.result):
        complain(failure)
    if as_json or not failure:
        show(views.synced(finished.result), as_json=as_json)
    return views.exit_code(finished.result, finished.remaining)


def provision(
    connection: ConnectionReference,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="SUBJECT", help="A user (UPN, object id, e-mail) or a group (displayName, object id)."
        ),
    ],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Provision or deprovision one user or group now, and see each step.

    Does what Entra's truth asks for: creates who is assigned, disables who is not any more.
    """
    from console import running
    from console.services import run
    from console.views import provisioning as views

    result = run(lambda services: running.provision(services, connection, subject, dry_run=dry_run))
    show(views.provisioned(result), as_json=as_json)
    if failure := views.failure(result):
        complain(failure)
    return views.exit_code(result)
