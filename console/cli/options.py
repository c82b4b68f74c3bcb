"""Options and arguments that several commands share, with one help text each; options
that belong together become one value.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from store.records.connections import PeopleFate

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


class StateFilter(StrEnum):
    """The state of a connection."""

    ACTIVE = "active"
    PAUSED = "paused"
    QUARANTINED = "quarantined"
    INCOMPLETE = "incomplete"


OnlyStates = Annotated[
    list[StateFilter] | None,
    typer.Option("--state", help="Only connections in this state; may be given several times."),
]
ShowAll = Annotated[
    bool, typer.Option("--all", metavar=FLAG, help="Every line; without it the text ends after 200.")
]

UserReference = Annotated[
    str, typer.Argument(metavar="USER", help="userName, id or Entra object id of the account.")
]


R = TypeVar("R")


def takes_options(parameter: str, group: type[Any]) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command the options of a group in place of one parameter.

    The command receives one value of the dataclass `group`; Typer sees one option for
    each of its fields, with the name, type and help of the field.
    """

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        signature = inspect.signature(command, eval_str=True)
        hints = get_type_hints(group, include_extras=True)
        options = [
            inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name]
            )
            for each in fields(group)
        ]
        parameters: list[inspect.Parameter] = []
        for given in signature.parameters.values():
            if given.name == parameter:
                parameters += options
            else:
                parameters.append(given.replace(kind=inspect.Parameter.KEYWORD_ONLY))

        @wraps(command)
        def with_options(**values: Any) -> R:
            grouped = {option.name: values.pop(option.name) for option in options}
            return command(**values, **{parameter: group(**grouped)})

        # Typer reads both; `wraps` has copied those of the command.
        vars(with_options)["__signature__"] = signature.replace(parameters=parameters)
        with_options.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_options

    return decorate
