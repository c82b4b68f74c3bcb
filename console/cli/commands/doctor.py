"""`leaver doctor`: is everything in order, and if not, what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.options import AsJson


def doctor(
    connection: Annotated[
        str | None, typer.Argument(metavar="[CONNECTION]", help="Only this connection; default: all of them.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check configuration, database, credentials, permissions and connectivity; each with its remedy.

    Reads only. Exit status 0: all well; 1: something has to be done.
    """
    from console.admin import doctor as checking
    from console.cli.output import show
    from console.cli.views import checks as views

    checks = checking.examine(connection)
    show(views.shown(checks), as_json=as_json)
    return views.exit_code(checks)
