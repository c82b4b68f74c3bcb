"""The inverse of a mapping: which Graph searches find the person with a value.

An empty search proves an absence only where nothing was left unsearched (identity.md,
W9), so a part that cannot be inverted is named. A search may find too many people: the
mapping has to be applied to each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from store.records import Policy, is_object_id
from worker.reconcile.mapping.attribute_mapping import source_texts
from worker.reconcile.mapping.attribute_paths import MANAGER
from worker.reconcile.mapping.functions.texts import to_lower, to_upper
from worker.reconcile.mapping.graph_filters import ADVANCED, COLLECTIONS, FILTERED, GraphFilter
from worker.reconcile.mapping.source_attributes import GRAPH_NAMES
from worker.reconcile.mapping.syntax import (
    AttributeReference,
    Comparison,
    Empty,
    Expression,
    FunctionCall,
    Number,
    Text,
    parse_expression,
    print_expression,
    walk,
)

Invert = Callable[["Expression", str], "Inverse"]

MAX_FILTERS = 50
"""Searches for one value; a mapping that needs more counts as not searched."""

_KEEPS_CASE = frozenset({"Append", "Coalesce", "Join"})
"""Functions that give the same in lower case as of arguments in lower case."""

_GUEST = "a guest's name without #EXT# and domain cannot be searched for"


@dataclass(frozen=True, slots=True)
class Inverse:
    """The searches for a value, and what they leave out."""

    filters: tuple[GraphFilter, ...] = ()
    gaps: tuple[str, ...] = ()
    """Why a person could have the value and yet not be found, each in words."""

    @property
    def is_complete(self) -> bool:
        """Whether a person who has the value is found by one of the searches.

        Complete without any search: no person can have the value.
        """
        return not self.gaps


def invert_mapping(policy: Policy, path: str, value: str) -> Inverse:
    """Return the searches for a person by the value of a mapped attribute."""
    source = source_texts(policy).get(path)
    if source is None:
        return Inverse(gaps=(f"{path} is not mapped",))
    if path == MANAGER:
        return Inverse(gaps=("the manager is a reference",))
    return invert(parse_expression(source), value)


def invert(expression: Expression, value: str) -> Inverse:
    """Return the searches for a person by the value that an expression gives."""
    known: dict[tuple[Expression, str], Inverse] = {}

    def inner(part: Expression, wanted: str) -> Inverse:
        # Nested calls of Switch would otherwise double the work at every level.
        if (key := (part, wanted)) not in known:
            known[key] = _invert(inner, part, wanted)
        return known[key]

    found = inner(expression, value)
    if len(found.filters) > MAX_FILTERS:
        return Inverse(gaps=(f"{_shown(expression)} needs more than {MAX_FILTERS} searches",))
    return found


def _invert(inner: Invert, expression: Expression, value: str) -> Inverse:
    match expression:
        case AttributeReference(name):
            return _invert_attribute(name, value)
        case Text() | Number() | Empty() | Comparison():
            return _invert_constant(expression, value)
        case FunctionCall(function, arguments):
            invert_call = _CALLS.get(function)
            if invert_call is None:
                return Inverse(gaps=(f"{_shown(expression)} cannot be inverted",))
            return invert_call(inner, expression, arguments, value)


def _invert_attribute(name: str, value: str) -> Inverse:
    graph_name = GRAPH_NAMES.get(name, name)
    if not value:
        return Inverse(gaps=(f"an empty {name} is not searched for",))
    if graph_name == "id":
        return Inverse((GraphFilter("id", value.lower()),)) if is_object_id(value) else Inverse()
    if name == "userPrincipalName" and "@" not in value:
        return Inverse(gaps=(_GUEST,))
    if graph_name == "onPremisesExtensionAttributes":
        return Inverse((GraphFilter(f"{graph_name}/{name}", value),))
    if graph_name not in FILTERED and graph_name not in ADVANCED:
        return Inverse(gaps=(f"{name} cannot be searched by equality in Graph",))
    # Of several values the mapping takes the first or joins all: the search finds any.
    return Inverse((GraphFilter(graph_name, value),))


def _invert_constant(expression: Expression, value: str) -> Inverse:
    text = _constant(expression)
    if text is not None and text != value:
        return Inverse()
    return Inverse(gaps=(f"{_shown(expression)} is the same for every user",))


def _invert_same(inner: Invert, _call: Expression, arguments: Sequence[Expression], value: str) -> Inverse:
    return inner(arguments[0], value)


def _invert_case(inner: Invert, call: Expression, arguments: Sequence[Expression], value: str) -> Inverse:
    if any(not isinstance(culture, Empty) for culture in arguments[1:]):
        return Inverse(gaps=(f"{_shown(call)} cannot be inverted for a culture",))
    if not isinstance(call, FunctionCall):
        return Inverse()
    change = to_lower if call.function == "ToLower" else to_upper
    if change(value) != value:
        return Inverse()
    match arguments[0]:
        case AttributeReference() as attribute:
            # Graph's `eq` ignores letter case, so the text itself finds every spelling.
            return inner(attribute, value)
        case FunctionCall(function, parts) if function in _KEEPS_CASE:
            return inner(
                FunctionCall(function, tuple(_in_case(call.function, part) for part in parts)), value
            )
        case Text() | Number() as constant:
            return inner(_in_case(call.function, constant), value)
        case other:
            return Inverse(gaps=(f"{_shown(other)} cannot be inverted without its letter case",))


def _in_case(function: str, part: Expression) -> Expression:
    if isinstance(part, Empty):
        return part
    text = _constant(part)
    if text is None:
        return FunctionCall(function, (part,))
    return Text(to_lower(text) if function == "ToLower" else to_upper(text))


def _invert_append(inner: Invert, call: Expression, arguments: Sequence[Expression], value: str) -> Inverse:
    found = _invert_between(inner, call, arguments, value)
    alone = "".join(_constant(part) or "" for part in arguments)
    if _constant(arguments[0]) is not None and value == alone:
        return _union([found, _given_without_value(call)])
    return found


def _invert_join(inner: Invert, call: Expression, arguments: Sequence[Expression], value: str) -> Inverse:
    separator = "" if isinstance(arguments[0], Empty) else _constant(arguments[0])
    if separator is None:
        return Inverse(gaps=(f"{_shown(call)} joins by a value of the user",))
    if any(isinstance(part, AttributeReference) and part.name in COLLECTIONS for part in walk(call)):
        return Inverse(gaps=(f"{_shown(call)} joins several values, and where one ends is not known",))
    parts = [part for part in arguments[1:] if not isinstance(part, Empty) and _constant(part) != ""]
    spaced: list[Expression] = []
    for part in parts:
        spaced += [Text(separator), part] if spaced and separator else [part]
    found = _invert_between(inner, call, spaced, value)
    constants = [text for part in parts if (text := _constant(part)) is not None]
    if value == separator.join(constants) and constants:
        # Join leaves out what is empty, and the constants alone remain.
        return _union([found, _given_without_value(call)])
    return found


def _invert_between(inner: Invert, call: Expression, parts: Sequence[Expression], value: str) -> Inverse:
    """Take the constants before and behind the one part that varies off the value."""
    varying = [at for at, part in enumerate(parts) if _constant(part) is None and not isinstance(part, Empty)]
    if len(varying) != 1:
        return Inverse(gaps=(f"{_shown(call)} joins several values, and where one ends is not known",))
    before = "".join(_constant(part) or "" for part in parts[: varying[0]])
    behind = "".join(_constant(part) or "" for part in parts[varying[0] + 1 :])
    if len(value) <= len(before) + len(behind):
        return Inverse()
    if not (value.startswith(before) and value.endswith(behind)):
        return Inverse()
    return inner(parts[varying[0]], value[len(before) : len(value) - len(behind)])


def _given_without_value(call: Expression) -> Inverse:
    return Inverse(gaps=(f"{_shown(call)} gives this to every user without a value",))


def _invert_coalesce(
    inner: Invert, _call: Expression, arguments: Sequence[Expression], value: str
) -> Inverse:
    return _union(inner(argument, value) for argument in arguments)


def _invert_switch(inner: Invert, call: Expression, arguments: Sequence[Expression], value: str) -> Inverse:
    source, default, *cases = arguments
    found: list[Inverse] = []
    for key, given in zip(cases[::2], cases[1::2], strict=True):
        constant = _constant(given)
        if constant is None and not isinstance(given, Empty):
            found.append(inner(given, value))
        elif constant == value:
            text = _constant(key)
            found.append(
                inner(source, text)
                if text is not None
                else Inverse(gaps=(f"{_shown(call)} has a key that varies",))
            )
    if not isinstance(default, Empty):
        found.append(inner(default, value))
    return _union(found)


def _invert_iif(inner: Invert, _call: Expression, arguments: Sequence[Expression], value: str) -> Inverse:
    return _union(inner(branch, value) for branch in arguments[1:] if not isinstance(branch, Empty))


def _invert_replace(inner: Invert, call: Expression, arguments: Sequence[Expression], value: str) -> Inverse:
    source, old, pattern, _, new, _, template = (*arguments, *[Empty()] * 7)[:7]
    before, after, form = _constant(old), _constant(new), _constant(template)
    cannot = Inverse(gaps=(f"{_shown(call)} cannot be inverted",))
    if before and form is not None and form.count(before) == 1:
        start, _, end = form.partition(before)
        return _invert_between(inner, call, (Text(start), source, Text(end)), value)
    if not before or after is None or not isinstance(pattern, Empty):
        return cannot
    # The usual use takes a domain off; it might have stood elsewhere in the value.
    likely = [value, value + before] if after == "" else [value]
    return _union([*(inner(source, text) for text in likely), cannot])


_CALLS = {
    "Append": _invert_append,
    "CStr": _invert_same,
    "Coalesce": _invert_coalesce,
    "IIF": _invert_iif,
    "IgnoreFlowIfNullOrEmpty": _invert_same,
    "Join": _invert_join,
    "Replace": _invert_replace,
    "Switch": _invert_switch,
    "ToLower": _invert_case,
    "ToUpper": _invert_case,
}


def _constant(expression: Expression) -> str | None:
    match expression:
        case Text(value):
            return value
        case Number(text):
            return text
        case _:
            return None


def _union(found: Iterable[Inverse]) -> Inverse:
    filters: dict[GraphFilter, None] = {}
    gaps: dict[str, None] = {}
    for one in found:
        filters.update(dict.fromkeys(one.filters))
        gaps.update(dict.fromkeys(one.gaps))
    return Inverse(tuple(filters), tuple(gaps))


def _shown(expression: Expression) -> str:
    text = print_expression(expression)
    return text if len(text) <= 100 else f"{text[:100]}…"
