"""What a function of a mapping expression is, and how its arguments are prepared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from worker.reconcile.mapping.functions.date_values import INTERVALS
from worker.reconcile.mapping.syntax import (
    AttributeReference,
    Comparison,
    Empty,
    Expression,
    FunctionCall,
    Number,
    Text,
)
from worker.reconcile.mapping.values import (
    Absent,
    Value,
    capped,
    fault,
    number_of,
    text_of,
    truth_of,
    whole_of,
)
from worker.reconcile.snapshot import GraphUser

Evaluate = Callable[[GraphUser], Value]
"""Return a value of a user; never raise."""

Build = Callable[[FunctionCall, Sequence[Evaluate]], Evaluate]


class BuildError(Exception):
    """An argument that a function cannot take, and the column of the argument."""

    def __init__(self, column: int, problem: str) -> None:
        super().__init__(problem)
        self.column = column


class ValueKind(Enum):
    """How an argument is read."""

    TEXT = "a text"
    NUMBER = "a number"
    WHOLE = "a whole number"
    TRUTH = "True or False"
    INTERVAL = f"one of {', '.join(INTERVALS)}"
    ANY = "a value"
    """As it is: absent, one value or several."""


def interval_of(value: Value) -> str | Absent:
    """Return a value as the name of an interval."""
    found = text_of(value)
    if isinstance(found, Absent) or found in INTERVALS:
        return found
    return fault(f"{found!r:.40} is not {ValueKind.INTERVAL.value}")


_CONVERT: dict[ValueKind, Callable[[Value], Any]] = {
    ValueKind.TEXT: text_of,
    ValueKind.NUMBER: number_of,
    ValueKind.WHOLE: whole_of,
    ValueKind.TRUTH: truth_of,
    ValueKind.INTERVAL: interval_of,
    ValueKind.ANY: lambda value: value,
}


@dataclass(frozen=True, slots=True)
class FunctionParameter:
    """One parameter: its name on Microsoft's page, and how its argument is read."""

    name: str
    kind: ValueKind = ValueKind.TEXT
    optional: bool = False
    constant: bool = False
    """Only a text or a number may be written here, so that it is checked when saved."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its parameters, and how a call of it becomes an evaluation."""

    name: str
    parameters: tuple[FunctionParameter, ...]
    build: Build
    repeats: int = 0
    """How many of the last parameters may come again."""
    conditions: tuple[int, ...] = ()
    """Positions in which a comparison may stand."""

    @property
    def usage(self) -> str:
        """The function with its parameters, as one writes it."""
        names = [f"[{p.name}]" if p.optional else p.name for p in self.parameters]
        return f"{self.name}({', '.join(names)}{', …' if self.repeats else ''})"

    def check(self, call: FunctionCall) -> None:
        """Raise `BuildError` for arguments that the function cannot take."""
        count = len(call.arguments)
        least = sum(not parameter.optional for parameter in self.parameters)
        most = len(self.parameters)
        if count < least or (count > most and (not self.repeats or (count - most) % self.repeats)):
            raise BuildError(call.column, f"{self.name} does not take {count} arguments; write {self.usage}")
        for position, argument in enumerate(call.arguments):
            if isinstance(argument, Comparison) and position not in self.conditions:
                raise BuildError(argument.column, "a comparison may stand only in IIF, CBool and Not")
            self._check_constant(self._parameter(position), argument, call.column)

    def _parameter(self, position: int) -> FunctionParameter:
        if position < len(self.parameters):
            return self.parameters[position]
        # Beyond the last parameter the repeated ones come again.
        return self.parameters[len(self.parameters) - self.repeats :][
            (position - len(self.parameters)) % self.repeats
        ]

    def _check_constant(self, parameter: FunctionParameter, argument: Expression, column: int) -> None:
        needs = f"{self.name} needs {parameter.kind.value} as {parameter.name}"
        if isinstance(argument, Empty):
            return
        if isinstance(argument, Text | Number):
            value = argument.value if isinstance(argument, Text) else argument.text
            if isinstance(_CONVERT[parameter.kind](value), Absent):
                raise BuildError(argument.column, f"{needs}, not {value!r:.40}")
        elif parameter.constant:
            raise BuildError(argument.column, f"{needs}, written out")


def strict(name: str, *parameters: FunctionParameter, do: Callable[..., Value]) -> Function:
    """Return a function that is absent as soon as a required argument is.

    An optional argument that is empty is `None` for `do`. What cannot be evaluated in
    any argument makes the call a fault.
    """
    required = [p.name for p in parameters if not p.optional]

    def build(call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
        steps = []
        for parameter, written, argument in zip(parameters, call.arguments, arguments, strict=False):
            if isinstance(written, Empty) and parameter.name in required:
                raise BuildError(call.column, f"{name} needs {parameter.name}")
            steps.append((argument, _CONVERT[parameter.kind], parameter.optional))

        left_out = (None,) * (len(parameters) - len(steps))

        def evaluate(user: GraphUser) -> Value:
            values: list[Any] = []
            for argument, convert, optional in steps:
                value = convert(argument(user))
                if isinstance(value, Absent):
                    if value.is_fault or not optional:
                        return value
                    value = None
                values.append(value)
            return capped(do(*values, *left_out))

        return evaluate

    return Function(name, parameters, build)


def constant_text(argument: Expression) -> str | None:
    """Return the text of a constant; None for anything else."""
    match argument:
        case Text(value):
            return value
        case Number(text):
            return text
        case AttributeReference("vbTextCompare" | "vbBinaryCompare" as name):
            return name
        case _:
            return None
