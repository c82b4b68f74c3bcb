"""Options of a command that belong together, as one value."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar, get_type_hints

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
