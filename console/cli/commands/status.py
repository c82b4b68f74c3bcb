"""`leaver status` and `leaver check`: every connection, without asking Graph."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli.options import AsJson, OnlyStates
from console.cli.output import show

OnlyTenant = Annotated[str | None, typer.Argument(metavar="[TENANT]", help="Only this tenant's.")]


def status(tenant: OnlyTenant = None, state: OnlyStates = None, as_json: AsJson = False) -> None:
    """Show every connection in one line, the worst first.

    State, last outcome, age of the last complete reading, open drift, rows that are
    held, days left of the credential, last push. Reads the database only.
    """
    from console.admin.reports import status as use_cases
    from console.cli.session import run
    from console.cli.views import status as views

    found = run(lambda services, actor: use_cases.status(services, actor, tenant, state or ()))
    show(views.listed(found), as_json=as_json)


def check(tenant: OnlyTenant = None, as_json: AsJson = False) -> int:
    """Say in one line whether a person has to act; cheap, for cron and monitors.

    Exit status 0: all is well; 3: a warning: something waits, or will have to be done
    soon; 1: a failure: a connection finds no leavers. Asks nothing of Microsoft Graph:
    `leaver doctor` does.
    """
    from console.admin.reports import status as use_cases
    from console.cli.session import run
    from console.cli.views import status as views

    found = run(lambda services, actor: use_cases.status(services, actor, tenant))
    show(views.checked(found), as_json=as_json)
    return views.exit_code(found)
