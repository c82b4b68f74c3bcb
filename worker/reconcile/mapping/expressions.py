"""Sources of a mapping, compiled to functions of a user.

A source is an attribute of Entra or an expression. It is parsed and checked once, when
it is saved and when a mapping is compiled, and evaluated for every user without I/O.
Evaluation never raises: what has no value says why (`Source.why_absent`).
Work is bounded by the caps of `syntax`, `values` and `functions.patterns`.
"""

from __future__ import annotations

from functools import lru_cache

from store.records import JsonValue
from worker.reconcile.mapping.functions import FUNCTIONS, REFUSED
from worker.reconcile.mapping.functions.base import BuildError, Evaluate
from worker.reconcile.mapping.functions.logic import compare
from worker.reconcile.mapping.source_attributes import GRAPH_NAMES as GRAPH_NAMES
from worker.reconcile.mapping.source_attributes import Read as Read
from worker.reconcile.mapping.source_attributes import Source as Source
from worker.reconcile.mapping.source_attributes import attribute as attribute
from worker.reconcile.mapping.source_attributes import attribute_value
from worker.reconcile.mapping.source_attributes import single as single
from worker.reconcile.mapping.syntax import (
    AttributeReference,
    Comparison,
    Empty,
    Expression,
    ExpressionError,
    FunctionCall,
    Number,
    Text,
    parse_expression,
    walk,
)
from worker.reconcile.mapping.values import Absent, Value

_LEFT_OUT = Absent("the argument was left out")
_COMPARE_TYPES = frozenset({"vbTextCompare", "vbBinaryCompare"})
_OBJECT_LISTS = frozenset({"AppRoleAssignmentsComplex", "AssertiveAppRoleAssignmentsComplex"})


@lru_cache(maxsize=1024)
def compile_source(text: str) -> Source:
    """Compile an attribute name or an expression.

    Raise `ExpressionError`, with the column and what was expected, for one that cannot
    be read.
    """
    expression = parse_expression(text)
    if isinstance(expression, AttributeReference):
        return attribute(expression.name)
    if isinstance(expression, Text | Number):
        constant = expression.value if isinstance(expression, Text) else expression.text
        return Source(lambda _user: constant, frozenset())
    try:
        evaluate = _compile(expression)
    except BuildError as error:
        raise ExpressionError(text, error.column, str(error)) from None
    return Source(
        lambda user: _to_json(evaluate(user)),
        properties_of(expression),
        why_absent=lambda user: found if isinstance(found := evaluate(user), Absent) else None,
        many=isinstance(expression, FunctionCall) and expression.function in _OBJECT_LISTS,
    )


def properties_of(expression: Expression) -> frozenset[str]:
    """Return the Graph properties that an expression reads."""
    names = {part.name for part in walk(expression) if isinstance(part, AttributeReference)} - _COMPARE_TYPES
    return frozenset[str]().union(*(attribute(name).properties for name in names))


def _compile(expression: Expression) -> Evaluate:
    match expression:
        case AttributeReference(name, first):
            if name in _COMPARE_TYPES:
                return lambda _user: name
            return attribute_value(name, first)
        case Text(value):
            return lambda _user: value
        case Number(text):
            return lambda _user: text
        case Empty():
            return lambda _user: _LEFT_OUT
        case Comparison(left, operator, right):
            return compare(_compile(left), operator, _compile(right))
        case FunctionCall():
            return _compile_call(expression)


def _compile_call(call: FunctionCall) -> Evaluate:
    if reason := REFUSED.get(call.function):
        raise BuildError(call.column, f"{call.function} cannot be used: {reason}")
    function = FUNCTIONS.get(call.function)
    if function is None:
        known = ", ".join(sorted(FUNCTIONS))
        raise BuildError(call.column, f"{call.function} is not known here; known are {known}")
    function.check(call)
    return function.build(call, [_compile(argument) for argument in call.arguments])


def _to_json(value: Value) -> JsonValue:
    # Entra sends texts: True and False, and numbers by their digits.
    if isinstance(value, str):
        return value or None
    if isinstance(value, Absent):
        return None
    if isinstance(value, tuple):
        return [item if isinstance(item, str | dict) else str(item) for item in value]
    return value if isinstance(value, dict) else str(value)
