"""Match the elements of a multi-valued attribute with the filter between brackets.

It works on plain dicts (RFC 7644 §3.5.2).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from scim2_models import InvalidFilterException
from scim2_models.path import (
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
)

from scim.schema.definitions import Attribute
from scim.schema.entra_quirks import boolean_of
from store.records import exact_key, folded, name_key

_ORDER: Mapping[CompareOperator, Callable[[Any, Any], bool]] = {
    CompareOperator.gt: operator.gt,
    CompareOperator.ge: operator.ge,
    CompareOperator.lt: operator.lt,
    CompareOperator.le: operator.le,
}
_TEXT: Mapping[CompareOperator, Callable[[str, str], bool]] = {
    CompareOperator.co: operator.contains,
    CompareOperator.sw: str.startswith,
    CompareOperator.ew: str.endswith,
}


Test = Callable[[Any], bool]


def matches(node: FilterNode, attribute: Attribute, element: Any) -> bool:
    """Whether a filter selects one element of a multi-valued attribute.

    A plain element is its own `value`. Raises scim2_models.InvalidFilterException when
    the filter names a sub-attribute that the schema lacks.
    """
    return matcher(node, attribute)(element)


def matcher(node: FilterNode, attribute: Attribute) -> Test:
    """Return the test by which a filter selects elements, prepared for many of them.

    The test raises what `matches` raises.
    """
    if isinstance(node, Not):
        inner = matcher(node.expr, attribute)
        return lambda element: not inner(element)
    if isinstance(node, LogicalExpr):
        terms = [matcher(term, attribute) for term in node.terms]
        if node.op == LogicalOperator.and_:
            return lambda element: all(term(element) for term in terms)
        return lambda element: any(term(element) for term in terms)
    if isinstance(node, Present):
        return lambda element: _operand(node, attribute, element)[1] not in (None, "", [], {})
    if isinstance(node, Comparison):
        return _comparison(node, attribute)
    raise InvalidFilterException(detail="A filter between brackets cannot hold another one.")


def _comparison(node: Comparison, attribute: Attribute) -> Test:
    name = node.attr_path.attr
    of_plain, is_value = _text_test(attribute, node.op, node.value), name.lower() == "value"
    sub = Attribute(name, "any") if attribute.type == "any" else attribute.sub(name)
    of_sub, key = (None, "") if sub is None else (_text_test(sub, node.op, node.value), sub.name)

    def test(element: Any) -> bool:
        if type(element) is not dict and not isinstance(element, Mapping):
            return of_plain(element if is_value else None)
        if of_sub is None:
            raise _no_sub_attribute(attribute, name)
        return of_sub(element.get(key))

    return test


def _text_test(sub: Attribute, op: CompareOperator, wanted: Any) -> Test:
    """Return the comparison with a value; a wanted text is folded once."""
    if not isinstance(wanted, str) or sub.type == "boolean" or op not in _TEXT:
        return lambda value: _compare(sub, op, value, wanted)
    holds, fold = _TEXT[op], str if sub.case_exact else folded
    form = fold(wanted)
    return lambda value: (
        holds(fold(value), form) if isinstance(value, str) else _compare(sub, op, value, wanted)
    )


def implied_value(node: FilterNode, attribute: Attribute) -> dict[str, Any] | None:
    """Return the element that an `eq` filter describes, so that it can be created.

    Any other filter returns None. Entra adds `emails[type eq "work"].value` to users
    without an e-mail address; RFC 7644 §3.5.2.3 would have noTarget (compliance page;
    SCIM-SDK issue 416). `roles[primary eq "True"]` describes `{"primary": true}`
    (mapping page).
    """
    terms = node.terms if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_ else (node,)
    seed: dict[str, Any] = {}
    for term in terms:
        if not (
            isinstance(term, Comparison) and term.op == CompareOperator.eq and term.attr_path.sub_attr is None
        ):
            return None
        sub = _sub_attribute(attribute, term.attr_path.attr)
        truth = boolean_of(term.value) if sub.type == "boolean" else None
        seed[sub.name] = term.value if truth is None else truth
    return seed


def _operand(node: Present, attribute: Attribute, element: Any) -> tuple[Attribute, Any]:
    if type(element) is not dict and not isinstance(element, Mapping):
        return attribute, element if node.attr_path.attr.lower() == "value" else None
    sub = _sub_attribute(attribute, node.attr_path.attr)
    return sub, element.get(sub.name)


def _sub_attribute(attribute: Attribute, name: str) -> Attribute:
    if attribute.type == "any":
        return Attribute(name, "any")
    sub = attribute.sub(name)
    if sub is None:
        raise _no_sub_attribute(attribute, name)
    return sub


def _no_sub_attribute(attribute: Attribute, name: str) -> InvalidFilterException:
    return InvalidFilterException(detail=f"'{attribute.name}' has no sub-attribute '{name}' to filter by.")


def _compare(sub: Attribute, op: CompareOperator, value: Any, wanted: Any) -> bool:
    if sub.type == "boolean":
        # `roles[primary eq "True"]` compares a string with a boolean (mapping page,
        # SingleAppRoleAssignment).
        truth = boolean_of(wanted)
        wanted = wanted if truth is None else truth
    if value is None or wanted is None:
        return (
            (value is wanted)
            if op == CompareOperator.eq
            else op == CompareOperator.ne and value is not wanted
        )
    if isinstance(value, str) and isinstance(wanted, str):
        if op in _TEXT:
            return _TEXT[op](value, wanted) if sub.case_exact else _TEXT[op](folded(value), folded(wanted))
        key = exact_key if sub.case_exact else name_key
        value, wanted = key(value), key(wanted)
    if op == CompareOperator.eq:
        return bool(value == wanted)
    if op == CompareOperator.ne:
        return bool(value != wanted)
    return op in _ORDER and type(value) is type(wanted) and _ORDER[op](value, wanted)


def named_values(node: FilterNode) -> list[str] | None:
    """Return the values that a filter names, such as `value eq "2f1e…" or value eq
    "6b0c…"`.

    Any other filter returns None.
    """
    if (
        isinstance(node, Comparison)
        and node.attr_path.attr.lower() == "value"
        and node.op == CompareOperator.eq
    ):
        return [str(node.value)]
    if not (isinstance(node, LogicalExpr) and node.op == LogicalOperator.or_):
        return None
    values: list[str] = []
    for term in node.terms:
        named = named_values(term)
        if named is None:
            return None
        values += named
    return values


def count_terms(node: FilterNode) -> int:
    """Count the comparisons of a filter."""
    if isinstance(node, LogicalExpr):
        return sum(map(count_terms, node.terms))
    return count_terms(node.expr) if isinstance(node, Not) else 1
