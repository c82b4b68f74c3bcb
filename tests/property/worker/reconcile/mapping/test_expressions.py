"""Expressions for every text and every user: parsing is total, printing is faithful, evaluation never raises."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from store.records import GraphId, JsonValue
from worker.reconcile.mapping.expressions import compile_source
from worker.reconcile.mapping.functions import FUNCTIONS
from worker.reconcile.mapping.functions.pattern_compiler import PatternError, compile_pattern
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
    print_expression,
)
from worker.reconcile.snapshot import GraphUser

_NAMES = ["mail", "surname", "proxyAddresses", "accountEnabled", "appRoleAssignments", "extensionAttribute1"]
_WORDS = ["", "a", "Ana Lee", "yyyy-MM-dd", "2020-01-31", "True", "d", "ww", "12", "(?<g>a+)", "g", "${g}"]

attributes = st.builds(AttributeReference, st.sampled_from(_NAMES), st.booleans())
texts = st.builds(Text, st.sampled_from(_WORDS) | st.text(max_size=8))
numbers = st.builds(Number, st.from_regex(r"-?\d{1,25}|&H[0-9A-F]{1,4}|\d\.\d", fullmatch=True))
leaves = attributes | texts | numbers


def _calls(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    comparisons = st.builds(Comparison, inner, st.sampled_from(["=", "<>", ">", ">=", "<", "<="]), inner)
    arguments = st.lists(inner | comparisons | st.just(Empty()), max_size=5)
    return st.builds(FunctionCall, st.sampled_from(sorted(FUNCTIONS)), arguments.map(_arguments))


def _arguments(given: list[Expression]) -> tuple[Expression, ...]:
    # `Now()` has no argument, not an empty one.
    return () if given == [Empty()] else tuple(given)


shallow = leaves | _calls(leaves)
expressions = shallow | _calls(shallow)

values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "x"]), inner),
    max_leaves=5,
)
users = st.dictionaries(
    st.sampled_from(
        ["mail", "surname", "proxyAddresses", "appRoleAssignments", "onPremisesExtensionAttributes"]
    ),
    values,
).map(lambda properties: GraphUser(GraphId("ana"), True, properties))


@given(expressions)
def test_what_is_printed_is_parsed_to_the_same(expression: Expression) -> None:
    """parse(print(e)) == e."""
    assert parse_expression(print_expression(expression)) == expression


@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(["Join", "Left", "(", ")", "[", "]", ",", '"', "\\", "=", "mail", "3", " ", "[0]", "&H", "-"]),
        max_size=20,
    ).map("".join)
)  # fmt: skip
def test_any_text_is_parsed_or_refused_with_a_place(text: str) -> None:
    """No text raises anything but the refusal, and the place lies in the text or just behind it."""
    refused = _refusal(text)
    assert refused is None or (1 <= refused.column <= len(text) + 1 and refused.problem)


def _refusal(text: str) -> ExpressionError | None:
    try:
        compile_source(text)
    except ExpressionError as error:
        return error
    return None


@settings(max_examples=400)
@given(expressions, users)
def test_evaluation_is_total(expression: Expression, user: GraphUser) -> None:
    """It never raises for any user, and what has no value has a reason."""
    try:
        source = compile_source(print_expression(expression))
    except ExpressionError:
        return
    value = source.read(user)
    absent = source.why_absent(user)
    assert absent is None or (value is None and absent.reason)
    assert isinstance(expression, Text | AttributeReference) or value != ""


@settings(max_examples=100)
@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(st.sampled_from(_WORDS), max_size=7), users)
def test_every_function_is_total(name: str, words: list[str], user: GraphUser) -> None:
    """With constants that are checked when saved, and with attributes of any kind."""
    for leaf in (Text, lambda _word: AttributeReference("surname")):
        call = FunctionCall(name, tuple(leaf(word) for word in words))
        try:
            source = compile_source(print_expression(call))
        except ExpressionError:
            continue
        assert source.read(user) != ""


_PARTS = [
    "a",
    "b",
    ".",
    "(",
    "(?:",
    ")",
    "*",
    "+",
    "?",
    "|",
    "[ab]",
    "[^a]",
    r"\d",
    "^",
    "$",
    "{2}",
    "*?",
    r"\b",
]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(_PARTS), min_size=1, max_size=8).map("".join), st.text("ab1\n ", max_size=8))
def test_a_pattern_finds_what_pythons_engine_finds(pattern: str, text: str) -> None:
    """The engine that is linear gives the same first match, with the same groups."""
    try:
        mine, theirs = compile_pattern(pattern), re.compile(pattern)
    except (PatternError, re.error):
        return
    found, match = next(mine.search_all(text), None), theirs.search(text)
    expected = match and tuple(place for group in range(theirs.groups + 1) for place in match.span(group))
    assert (found and found.spans) == expected
