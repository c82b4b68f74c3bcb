"""Options and arguments that several commands share, with one help text each."""

from __future__ import annotations

from typing import Annotated

import typer

from store.records.people_fate import PeopleFate

FLAG = ""
"""The value that the help page shows for a switch: none, for a switch takes none."""

AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        metavar=FLAG,
        help="Print one JSON document on stdout and nothing else; the rest goes to stderr.",
    ),
]
TenantReference = Annotated[str, typer.Argument(metavar="TENANT", help="Slug, name or id of the tenant.")]
ConnectionReference = Annotated[
    str,
    typer.Argument(
        metavar="CONNECTION", help="Id or name of the connection; TENANT/NAME where a name is used twice."
    ),
]
OptionalConnection = Annotated[
    str | None,
    typer.Argument(
        metavar="[CONNECTION]", help="Id or name; TENANT/NAME where a name is used twice. Or --all."
    ),
]
AllConnections = Annotated[
    bool, typer.Option("--all", metavar=FLAG, help="Every connection, instead of CONNECTION.")
]
PlanReference = Annotated[
    str,
    typer.Argument(metavar="PLAN", help="Checksum of the held plan (its first 8 characters do), or its id."),
]
People = Annotated[
    PeopleFate,
    typer.Option(
        help="What becomes of the accounts: keep them as they are, disable them (access ends), "
        "or release them (they become local)."
    ),
]
ReturnUrls = Annotated[
    list[str] | None,
    typer.Option(
        "--return-url",
        metavar="URL",
        help="Where your app takes people after sign-in; several replace all that were set.",
        rich_help_panel="Sign-in",
    ),
]
Yes = Annotated[
    bool, typer.Option("--yes", metavar=FLAG, help="Do not ask; for scripts, which nobody answers.")
]
NamePart = Annotated[str | None, typer.Option(help="Only names with this in them, without regard to case.")]
PageLimit = Annotated[int, typer.Option(min=1, max=1000, help="How many on a page.")]
After = Annotated[int, typer.Option(min=0, metavar="NUMBER", help="The `next` of the page before.")]

ShowAll = Annotated[
    bool, typer.Option("--all", metavar=FLAG, help="Every line; without it the text ends after 200.")
]

UserReference = Annotated[
    str, typer.Argument(metavar="USER", help="userName, id or Entra object id of the account.")
]
