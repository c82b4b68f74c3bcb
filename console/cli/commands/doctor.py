"""`leaver doctor`: is everything in order, and if not, what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import AsJson
from console.cli.output import show

if TYPE_CHECKING:
    from console.admin.checks.check import Check


def doctor(
    connection: Annotated[
        str | None, typer.Argument(metavar="[CONNECTION]", help="Only this connection; default: all of them.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check configuration, database, credentials, permissions and connectivity.

    Each with its remedy.

    Reads only. Exit status 0: nothing is to do; 3: something waits, or wants a look; 1:
    something failed.
    """
    from console.cli.views import checks as views

    checks = _examine(connection)
    show(views.shown(checks), as_json=as_json)
    return views.exit_code(checks)


def _examine(connection: str | None) -> Sequence[Check]:
    from config.errors import SettingsError
    from config.logging import configure_logging
    from config.settings import load_settings
    from console.admin.checks import doctor as use_cases
    from console.cli.session import quiet, shell_actor

    try:
        settings = load_settings()
    except SettingsError as error:
        return [use_cases.unusable_settings(error)]
    configure_logging(quiet(settings))
    return asyncio.run(use_cases.examine(settings, shell_actor(), connection))
