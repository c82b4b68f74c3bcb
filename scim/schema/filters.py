"""Read a SCIM filter (RFC 7644 §3.4.2.2) into criteria for `store.search.query`.

The grammar is that of scim2-models. This module resolves its tree: the attribute, the
comparison, and Entra's deviations.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from scim2_models import InvalidFilterException, ScimFilter
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    Present,
    ValuePath,
)
from scim2_models.path import Not as Negation

from scim.limits import ScimLimits, setting_of
from scim.schema.definitions import Attribute, Extension, Shape
from scim.schema.entra_quirks import boolean_of, compared_values, quoted_operands
from scim.schema.paths import locate
from store.records.names import is_storable
from store.search import criteria
from store.search.criteria import (
    All,
    AnyValue,
    Compare,
    Constant,
    Criterion,
    Field,
    Kind,
    Operator,
    Order,
    Some,
)

_SIMPLE = re.compile(r'\s*([A-Za-z][A-Za-z0-9]*)\s+eq\s+"([^"\\\x00-\x1f]*)"\s*', re.I | re.A)
"""Almost every filter of Entra; the grammar would take 100 µs for each new value."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKETS = re.compile(r"[\[\]()]")
_STANDARD = ScimLimits()

_KINDS = {
    "boolean": Kind.BOOLEAN,
    "integer": Kind.NUMBER,
    "decimal": Kind.NUMBER,
    "dateTime": Kind.TIME,
    "complex": Kind.OBJECT,
}
_EQUALITY = (Operator.EQ, Operator.NE)
_SUBSTRING = (Operator.CO, Operator.SW, Operator.EW)
_UNSEARCHABLE = frozenset({"schemas", "password"})


def read_filter(shape: Shape, expression: str, limits: ScimLimits = _STANDARD) -> Criterion:
    """Read a filter for one resource type.

    Raises scim2_models.InvalidFilterException for what is no filter, names an attribute
    the type lacks, or is too long.
    """
    simple = _SIMPLE.fullmatch(expression) if len(expression) <= limits.max_filter_length else None
    if simple:
        return _comparison(shape, Comparison(AttrPath(simple[1]), CompareOperator.eq, simple[2]))
    return criterion_of(shape, parse(expression, limits))


def parse(expression: str, limits: ScimLimits = _STANDARD) -> FilterNode:
    """Parse a filter, unquoted operands included; refuse one beyond the limits."""
    if len(expression) > limits.max_filter_length:
        raise _too_much(f"{limits.max_filter_length} characters", "max_filter_length")
    if _depth(expression) > limits.max_filter_depth:
        raise _too_much(f"{limits.max_filter_depth} brackets within each other", "max_filter_depth")
    node = _parse(expression)
    if _terms(node) > limits.max_filter_terms:
        raise _too_much(f"{limits.max_filter_terms} comparisons", "max_filter_terms")
    return node


def _parse(expression: str) -> FilterNode:
    try:
        return ScimFilter(quoted_operands(compared_values(expression))).ast
    except InvalidFilterException as error:
        raise InvalidFilterException(
            detail=f"The filter cannot be read: {error.detail}. Entra makes it of the matching attribute: see its mapping."
        ) from error


def _too_much(most: str, limit: str) -> InvalidFilterException:
    return InvalidFilterException(
        detail=f"The filter has more than {most} ({setting_of(limit)}): ask in several requests."
    )


def _depth(expression: str) -> int:
    """Count how deep brackets nest, before the recursive parser runs."""
    deepest = depth = 0
    for bracket in _BRACKETS.findall(_QUOTED.sub("", expression)):
        depth += 1 if bracket in "([" else -1
        deepest = max(deepest, depth)
    return deepest


def criterion_of(shape: Shape, node: FilterNode, undeclared: Criterion | None = None) -> Criterion:
    """Translate a parsed filter into criteria for one resource type.

    `undeclared` stands for a comparison with an attribute the type lacks, in a search
    over several types (RFC 7644 §3.4.2.1); without it such a filter is refused.
    """
    if isinstance(node, Negation):
        return criteria.Not(criterion_of(shape, node.expr, undeclared))
    if isinstance(node, LogicalExpr):
        terms = tuple(criterion_of(shape, term, undeclared) for term in node.terms)
        return All(terms) if node.op == LogicalOperator.and_ else Some(terms)
    assert isinstance(node, Present | ValuePath | Comparison)
    if undeclared is not None and locate(shape, str(node.attr_path)) is None:
        return undeclared
    if isinstance(node, Present):
        return criteria.Present(_field(shape, node.attr_path))
    return _selection(shape, node) if isinstance(node, ValuePath) else _comparison(shape, node)


def read_order(shape: Shape, sort_by: str, sort_order: str | None) -> Order | None:
    """Read `sortBy` and `sortOrder` (RFC 7644 §3.4.2.3); None when no attribute of the
    type is meant.
    """
    location = locate(shape, sort_by)
    if location is None or location.attribute is None or location.selector is not None:
        return None
    attribute, sub = location.attribute, location.sub
    if attribute.is_complex and sub is None:
        sub = attribute.sub("value")
        if sub is None:
            return None
    if attribute.name in _UNSEARCHABLE:
        return None
    return Order(_make_field(location.extension, attribute, sub), (sort_order or "").lower() == "descending")


def _terms(node: FilterNode) -> int:
    if isinstance(node, LogicalExpr):
        return sum(_terms(term) for term in node.terms)
    inner = getattr(node, "expr", None) or getattr(node, "val_filter", None)
    return 1 if inner is None else _terms(inner)


def _comparison(shape: Shape, node: Comparison) -> Criterion:
    operator = Operator(str(node.op))
    field = _field(shape, node.attr_path, compared=True)
    if (field.attribute, field.sub) == ("meta", "resourceType"):
        return _constant(shape.name, operator, node.value)
    return Compare(field, operator, _operand(field, operator, node.value, str(node.attr_path)))


def _constant(actual: str, operator: Operator, wanted: Any) -> Constant:
    """Compare a value that is the same for every row of a type."""
    text = str(wanted)
    answers = {
        Operator.EQ: actual == wanted,
        Operator.NE: actual != wanted,
        Operator.CO: text in actual,
        Operator.SW: actual.startswith(text),
        Operator.EW: actual.endswith(text),
    }
    return Constant(answers.get(operator, False))


def _selection(shape: Shape, node: ValuePath) -> Criterion:
    field, attribute = _field_and_attribute(shape, node.attr_path)
    if not attribute.multi_valued:
        raise InvalidFilterException(
            detail=f"'{node.attr_path}' has one value: there is nothing to select from."
        )
    return AnyValue(field, _inner(attribute, node.val_filter))


def _inner(attribute: Attribute, node: FilterNode) -> Criterion:
    """Read the filter between brackets, whose names are sub-attributes."""
    if isinstance(node, Negation):
        return criteria.Not(_inner(attribute, node.expr))
    if isinstance(node, LogicalExpr):
        terms = tuple(_inner(attribute, term) for term in node.terms)
        return All(terms) if node.op == LogicalOperator.and_ else Some(terms)
    assert isinstance(node, Comparison | Present)
    sub = attribute.sub(node.attr_path.attr)
    if sub is None:
        raise InvalidFilterException(detail=f"'{attribute.name}' has no sub-attribute '{node.attr_path}'.")
    field = Field(sub.name, kind=_kind(sub), case_exact=sub.case_exact)
    if isinstance(node, Present):
        return criteria.Present(field)
    operator = Operator(str(node.op))
    return Compare(field, operator, _operand(field, operator, node.value, f"{attribute.name}.{sub.name}"))


def _field(shape: Shape, path: AttrPath, *, compared: bool = False) -> Field:
    return _field_and_attribute(shape, path, compared=compared)[0]


def _field_and_attribute(shape: Shape, path: AttrPath, *, compared: bool = False) -> tuple[Field, Attribute]:
    location = locate(shape, str(path))
    if location is None or location.attribute is None:
        raise InvalidFilterException(detail=f"A {shape.name} has no attribute '{path}' to filter by.")
    attribute, sub = location.attribute, location.sub
    if attribute.name in _UNSEARCHABLE or (sub and (attribute.name, sub.name) == ("meta", "location")):
        raise InvalidFilterException(detail=f"'{path}' cannot be filtered by.")
    if compared and attribute.is_complex and sub is None:
        # `emails co "x"` compares `emails.value` (RFC 7644 §3.4.2.2), and
        # `manager eq "…"` its id (sample S14).
        sub = attribute.sub("value")
        if sub is None:
            raise InvalidFilterException(detail=f"'{path}' is an object: compare one of its parts.")
    return _make_field(location.extension, attribute, sub), attribute


def _make_field(extension: Extension | None, attribute: Attribute, sub: Attribute | None) -> Field:
    compared = sub or attribute
    return Field(
        attribute.name,
        sub.name if sub else None,
        extension.urn if extension else None,
        _kind(compared),
        attribute.multi_valued,
        compared.case_exact,
    )


def _kind(attribute: Attribute) -> Kind:
    return _KINDS.get(attribute.type, Kind.TEXT)


def _operand(field: Field, operator: Operator, value: Any, name: str) -> Any:
    """Bring the operand into the type of its attribute, or refuse the comparison."""
    if value is None:
        return None
    if field.kind is Kind.BOOLEAN:
        truth = boolean_of(value)
        if truth is None or operator not in _EQUALITY:
            raise InvalidFilterException(detail=f"'{name}' is a boolean: use eq or ne with true or false.")
        return truth
    if field.kind is Kind.NUMBER:
        if isinstance(value, bool) or not isinstance(value, int | float) or operator in _SUBSTRING:
            raise InvalidFilterException(detail=f"'{name}' is a number: compare it with one.")
        return value
    if field.kind is Kind.TIME:
        return None if operator in _SUBSTRING else _time(value, name)
    # An id of digits only, sent without quotes, is still an id (reference check of
    # older Microsoft documentation).
    text = value if isinstance(value, str) else str(value).lower()
    if not is_storable(text):
        raise InvalidFilterException(detail=f"'{name}' is compared with text that is no Unicode text.")
    return text


def _time(value: Any, name: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidFilterException(detail=f"'{name}' is a date and time: compare it with one.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
