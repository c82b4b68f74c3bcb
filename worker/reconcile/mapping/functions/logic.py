"""Functions that decide: conditions, comparisons and choices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from worker.reconcile.mapping.functions.base import (
    BuildError,
    Evaluate,
    Function,
    FunctionParameter,
    ValueKind,
    strict,
)
from worker.reconcile.mapping.source_attributes import attribute_value
from worker.reconcile.mapping.syntax import AttributeReference, Empty, FunctionCall, walk
from worker.reconcile.mapping.values import (
    Absent,
    Value,
    fault,
    first_of,
    is_present,
    number_of,
    text_of,
    truth_of,
)
from worker.reconcile.snapshot import GraphUser

_ORDER: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


def compare(left: Evaluate, operator: str, right: Evaluate) -> Evaluate:
    """Return a comparison: texts exactly, letter case included, or numbers by size.

    `>`, `>=`, `<` and `<=` are for numbers only.
    """

    def evaluate(user: GraphUser) -> Value:
        a, b = text_of(left(user)), text_of(right(user))
        if isinstance(a, Absent) or isinstance(b, Absent):
            return a if isinstance(a, Absent) else b
        if operator in ("=", "<>"):
            return (a == b) == (operator == "=")
        x, y = number_of(a), number_of(b)
        if isinstance(x, Absent) or isinstance(y, Absent):
            return x if isinstance(x, Absent) else y
        return _ORDER[operator](x, y)

    return evaluate


def _build_iif(call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
    condition, when_true, when_false = arguments
    # The condition fails where one of its attributes is empty, even inside IsPresent
    # (Microsoft, "Known limitations" of IIF).
    needed = [
        attribute_value(part.name, part.first)
        for part in walk(call.arguments[0])
        if isinstance(part, AttributeReference)
    ]

    def evaluate(user: GraphUser) -> Value:
        for attribute in needed:
            if isinstance(value := attribute(user), Absent):
                return fault(f"the condition of IIF cannot be evaluated: {value.reason}")
        truth = truth_of(condition(user))
        if isinstance(truth, Absent):
            return fault(f"the condition of IIF cannot be evaluated: {truth.reason}")
        return when_true(user) if truth else when_false(user)

    return evaluate


def _build_switch(call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
    source, default, *cases = arguments
    if isinstance(call.arguments[0], Empty):
        raise BuildError(call.column, "Switch needs source")
    pairs = tuple(zip(cases[::2], cases[1::2], strict=True))

    def evaluate(user: GraphUser) -> Value:
        given = text_of(source(user))
        if isinstance(given, Absent):
            if given.is_fault:
                return given
            given = ""  # an empty source has the key ""
        chosen: Evaluate | None = None
        for key, value in pairs:
            text = text_of(key(user))
            if isinstance(text, Absent) and text.is_fault:
                return text
            if ("" if isinstance(text, Absent) else text) == given:
                chosen = value
        return chosen(user) if chosen else default(user)

    return evaluate


def _tests(name: str, test: Callable[[Value], bool]) -> Function:
    def build(_call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
        def evaluate(user: GraphUser) -> Value:
            value = arguments[0](user)
            return value if isinstance(value, Absent) and value.is_fault else test(value)

        return evaluate

    return Function(name, (FunctionParameter("Expression", ValueKind.ANY),), build)


def _build_not(_call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
    def evaluate(user: GraphUser) -> Value:
        # Everything but True gives True (Microsoft's page), only a fault stays one.
        value = first_of(arguments[0](user))
        if isinstance(value, Absent):
            return value if value.is_fault else True
        return truth_of(value) is not True

    return evaluate


def _bit_and(first: int, second: int) -> Value:
    return first & second


def _build_unless_empty(_call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
    def evaluate(user: GraphUser) -> Value:
        value = arguments[0](user)
        # The attribute leaves the flow: it is not emptied here either.
        return value if is_present(value) else fault("it is empty, and IgnoreFlowIfNullOrEmpty drops it")

    return evaluate


_TRUTH = FunctionParameter("Expression", ValueKind.TRUTH)

FUNCTIONS: tuple[Function, ...] = (
    strict(
        "BitAnd",
        FunctionParameter("value1", ValueKind.WHOLE),
        FunctionParameter("value2", ValueKind.WHOLE),
        do=_bit_and,
    ),
    Function("CBool", (_TRUTH,), strict("CBool", _TRUTH, do=bool).build, conditions=(0,)),
    Function(
        "IIF",
        (
            FunctionParameter("condition", ValueKind.TRUTH),
            FunctionParameter("valueIfTrue", ValueKind.ANY),
            FunctionParameter("valueIfFalse", ValueKind.ANY),
        ),
        _build_iif,
        conditions=(0,),
    ),
    _tests("IsNull", lambda value: isinstance(value, Absent)),
    _tests("IsNullOrEmpty", lambda value: not is_present(value)),
    _tests("IsPresent", is_present),
    _tests("IsString", lambda value: isinstance(first_of(value), str)),
    Function(
        "IgnoreFlowIfNullOrEmpty", (FunctionParameter("Expression", ValueKind.ANY),), _build_unless_empty
    ),
    Function("Not", (FunctionParameter("source", ValueKind.ANY),), _build_not, conditions=(0,)),
    Function(
        "Switch",
        (
            FunctionParameter("source"),
            FunctionParameter("defaultValue", ValueKind.ANY),
            FunctionParameter("key"),
            FunctionParameter("value", ValueKind.ANY),
        ),
        _build_switch,
        repeats=2,
    ),
)
