"""Entra's mapping expressions, as far as mappings of one text need them.

`[name]` or a bare `name` is a source attribute, `"text"` a constant, `Function(a, b,
…)` a call of one of `functions.FUNCTIONS`. An argument may be empty, as the second of
`Switch([IsSoftDeleted], , "False", "True", "True", "False")` is. Every value is a text
or None (empty), as in Entra.
"""

import re
from collections.abc import Callable, Iterator

from simulator.provisioning.functions import FUNCTIONS

Read = Callable[[str], str | None]

_TOKEN = re.compile(
    r'\s*(?:(?P<text>"[^"]*")|\[(?P<attribute>\w+)\]|(?P<number>-?\d+)(?!\w)|(?P<name>\w+)|(?P<mark>[(),]))'
)


class BadExpression(ValueError):
    """A mapping expression that cannot be read; the message shows it."""


def evaluate(expression: str, read: Read) -> str | None:
    """Work out an expression over the source object that `read` reads; raise
    BadExpression for nonsense.
    """
    tokens = list(_tokens(expression))
    value, rest = _value(tokens, expression, read)
    if rest:
        raise BadExpression(f"nothing may follow the value in mapping expression {expression!r}")
    return value


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    at = 0
    end = len(expression.rstrip())
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None or match.lastgroup is None:
            raise BadExpression(f"cannot read mapping expression {expression!r} at {expression[at:]!r}")
        yield match.lastgroup, match[match.lastgroup]
        at = match.end()


def _value(tokens: list[tuple[str, str]], whole: str, read: Read) -> tuple[str | None, list[tuple[str, str]]]:
    if not tokens:
        raise BadExpression(f"mapping expression {whole!r} ends too early")
    (kind, text), rest = tokens[0], tokens[1:]
    if kind == "text":
        return text[1:-1], rest
    if kind == "number":
        return text, rest
    if kind == "mark":
        raise BadExpression(f"a value is missing before {text!r} in mapping expression {whole!r}")
    if kind == "name" and rest and rest[0] == ("mark", "("):
        arguments, rest = _arguments(rest[1:], whole, read)
        return _call(text, arguments, whole), rest
    return read(text), rest


def _arguments(
    tokens: list[tuple[str, str]], whole: str, read: Read
) -> tuple[list[str | None], list[tuple[str, str]]]:
    arguments: list[str | None] = []
    while tokens:
        if tokens[0][1] in {",", ")"} and tokens[0][0] == "mark":
            argument: str | None = None
        else:
            argument, tokens = _value(tokens, whole, read)
        arguments.append(argument)
        mark, tokens = tokens[:1], tokens[1:]
        if mark == [("mark", ")")]:
            return arguments, tokens
    raise BadExpression(f"a closing bracket is missing in mapping expression {whole!r}")


def _call(name: str, arguments: list[str | None], whole: str) -> str | None:
    function = FUNCTIONS.get(name)
    if function is None:
        raise BadExpression(f"unknown function {name!r} in {whole!r}; known: {', '.join(sorted(FUNCTIONS))}")
    try:
        return function(arguments) or None
    except (IndexError, ValueError) as error:
        raise BadExpression(f"{name} does not take these arguments in {whole!r}") from error
