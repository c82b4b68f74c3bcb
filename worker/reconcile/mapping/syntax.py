"""The text of Entra's mapping expressions: parse it by a grammar, and print it again.

An expression is an attribute (`[mail]`, or bare `mail`; `[businessPhones[0]]` is the
first of several values), a constant (`"text"`, `42`, `&HF7`) or a call
(`Join(" ", [givenName], [surname])`). An argument may be empty, or a comparison
(`[country] = "USA"`). Inside a text `\\"` is a quotation mark and `\\\\` a backslash
(Microsoft, "Reference for writing expressions for attribute mappings").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken, v_args

from worker.reconcile.mapping.attribute_paths import PolicyError

MAX_LENGTH = 4096
"""Characters of one expression."""

MAX_DEPTH = 24
"""Calls inside calls."""

_GRAMMAR = r"""
    start: _value
    _value: attribute | text | number | call
    attribute: "[" NAME [FIRST] "]" | NAME [FIRST]
    text: TEXT
    number: NUMBER
    call: NAME "(" _argument ("," _argument)* ")"
    _argument: empty | _value | comparison
    empty:
    comparison: _value COMPARE _value

    NAME: /[A-Za-z_]\w*/
    FIRST: "[0]"
    TEXT: /"(?:[^"\\]|\\.)*"/s
    NUMBER: /-?\d+(?:\.\d+)?(?!\w)|&H[0-9A-Fa-f]+(?!\w)/
    COMPARE: "=" | "<>" | ">=" | "<=" | ">" | "<"
    %ignore /\s+/
"""

_WORDS = {
    "NAME": "a name",
    "TEXT": 'a text in "quotes"',
    "NUMBER": "a number",
    "LSQB": "an attribute in [brackets]",
    "RSQB": "a closing ]",
    "FIRST": "[0]",
    "LPAR": "an opening bracket",
    "COMMA": "a comma",
    "RPAR": "a closing bracket",
    "COMPARE": "a comparison",
}
"""Terminals of the grammar, in words for the refusal."""

_BEGINS_VALUE = frozenset({"NAME", "TEXT", "NUMBER", "LSQB"})
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[()]', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')


class ExpressionError(PolicyError):
    """A mapping's source that cannot be read, with the place and what was expected."""

    def __init__(self, source: str, column: int, problem: str) -> None:
        shown = source if len(source) <= 200 else f"{source[:200]}…"
        super().__init__(
            f"The attribute mapping's source {shown!r} makes no sense at column {column}: {problem}."
        )
        self.source = source
        self.column = column
        """Counted from 1; one more than the length where the text ends too early."""
        self.problem = problem


@dataclass(frozen=True, slots=True)
class AttributeReference:
    """A source attribute, by Graph's name or by that of Entra's mapping page."""

    name: str
    first: bool = False
    """Only the first of several values: `businessPhones[0]`."""
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A constant text, without its quotation marks and escapes."""

    value: str
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Number:
    """A constant number, as it was written: `007` stays `007`."""

    text: str
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Empty:
    """An argument that was left out: the second of `Switch([a], , "x", "y")`."""

    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values and one of `=`, `<>`, `>`, `>=`, `<`, `<=`."""

    left: Expression
    operator: str
    right: Expression
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function with its arguments."""

    function: str
    arguments: tuple[Expression, ...]
    column: int = field(default=1, compare=False)


Expression = AttributeReference | Text | Number | Empty | Comparison | FunctionCall


def print_expression(expression: Expression) -> str:
    """Return the text that parses to an equal expression."""
    match expression:
        case AttributeReference(name, first):
            return f"[{name}[0]]" if first else f"[{name}]"
        case Text(value):
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case Number(text):
            return text
        case Empty():
            return ""
        case Comparison(left, operator, right):
            return f"{print_expression(left)} {operator} {print_expression(right)}"
        case FunctionCall(function, arguments):
            return f"{function}({', '.join(map(print_expression, arguments))})"


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield the expression and everything in it, the outer before the inner."""
    yield expression
    match expression:
        case Comparison(left, _, right):
            yield from walk(left)
            yield from walk(right)
        case FunctionCall(_, arguments):
            for argument in arguments:
                yield from walk(argument)
        case _:
            pass


@lru_cache(maxsize=1024)
def parse_expression(text: str) -> Expression:
    """Return the parsed expression; raise `ExpressionError` where it cannot be read.

    Time is linear in the length. Longer than `MAX_LENGTH` and deeper than `MAX_DEPTH`
    is refused.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(text, MAX_LENGTH + 1, f"it is longer than {MAX_LENGTH} characters")
    _refuse_deep(text)
    try:
        return _parser().parse(text)  # type: ignore[return-value]
    except UnexpectedToken as error:
        raise _unexpected_token(text, error) from None
    except UnexpectedCharacters as error:
        raise _unexpected_character(text, error) from None


def _refuse_deep(text: str) -> None:
    depth = 0
    for mark in _BRACKETS.finditer(text):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if depth > MAX_DEPTH:
            problem = f"calls are nested more than {MAX_DEPTH} deep"
            raise ExpressionError(text, mark.start() + 1, problem)


def _unexpected_token(text: str, error: UnexpectedToken) -> ExpressionError:
    token, expected = error.token, frozenset(error.accepts)
    ends = token.type == "$END"
    column = len(text) + 1 if ends else (token.start_pos or 0) + 1
    if ends:
        return ExpressionError(text, column, f"it ends too early; {_expectation(expected)}")
    if "$END" in expected:
        return ExpressionError(text, column, f"nothing may follow the value, yet {str(token)!r} does")
    if expected >= {"COMMA", "RPAR"} and not expected & _BEGINS_VALUE:
        return ExpressionError(text, column, f"a comma or a closing bracket is missing before {str(token)!r}")
    if expected & _BEGINS_VALUE and token.type in {"COMMA", "RPAR", "LPAR", "RSQB", "COMPARE"}:
        return ExpressionError(text, column, f"a value is missing before {str(token)!r}")
    return ExpressionError(text, column, f"{_expectation(expected)}, not {str(token)!r}")


def _unexpected_character(text: str, error: UnexpectedCharacters) -> ExpressionError:
    at = cast(int, error.pos_in_stream)
    if text[at] == '"':
        problem = 'the text that begins here has no closing " (inside a text, write \\" for one)'
        return ExpressionError(text, at + 1, problem)
    allowed = frozenset(error.allowed or ())
    if "(" not in text[:at]:  # the parser's table merges states: outside a call nothing goes on
        allowed -= {"COMMA", "RPAR", "COMPARE"}
    return ExpressionError(text, at + 1, f"{text[at : at + 20]!r} cannot be read; {_expectation(allowed)}")


def _expectation(terminals: Iterable[str]) -> str:
    words = [word for name, word in _WORDS.items() if name in terminals]
    return f"expected {' or '.join(words)}" if words else "expected nothing more"


@v_args(inline=True)
class _TreeBuilder(Transformer[Token, Expression]):
    """Build the records while the text is parsed: there is no second pass."""

    def start(self, value: Expression) -> Expression:
        return value

    def attribute(self, name: Token, first: Token | None = None) -> AttributeReference:
        return AttributeReference(str(name), first is not None, _column(name))

    def text(self, token: Token) -> Text:
        return Text(_ESCAPED.sub(r"\1", token[1:-1]), _column(token))

    def number(self, token: Token) -> Number:
        return Number(str(token), _column(token))

    def empty(self) -> Empty:
        return Empty()

    def comparison(self, left: Expression, operator: Token, right: Expression) -> Comparison:
        return Comparison(left, str(operator), right, left.column)

    def call(self, name: Token, *arguments: Expression) -> FunctionCall:
        # `Now()` is a call without arguments, not one with an empty argument.
        given = () if arguments == (Empty(),) else arguments
        return FunctionCall(str(name), given, _column(name))


def _column(token: Token) -> int:
    return (token.start_pos or 0) + 1


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False, transformer=_TreeBuilder())
