"""Where a mapped value comes from: Entra's source attributes and expressions, as functions of a user.

`givenName`, `[givenName]` and `businessPhones[0]` are attributes, `"text"` is a constant, `Join(" ",
[givenName], [surname])` a call; an argument may be empty. Attributes go by Graph's names or by those of
Entra's mapping page, which differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from store.records import JsonValue
from worker.reconcile.errors import PolicyError
from worker.reconcile.snapshot import GraphUser

Read = Callable[[GraphUser], JsonValue]
"""Gives a value of a user; None where it is empty."""

GRAPH_NAMES = {
    "objectId": "id",
    "originalUserPrincipalName": "userPrincipalName",
    "physicalDeliveryOfficeName": "officeLocation",
    "telephoneNumber": "businessPhones",
    "mobile": "mobilePhone",
    "facsimileTelephoneNumber": "faxNumber",
} | {f"extensionAttribute{n}": "onPremisesExtensionAttributes" for n in range(1, 16)}
"""Attributes of Entra's mapping page that Graph calls by another name."""

_TOKEN = re.compile(r'\s*(?:(?P<text>"[^"]*"|\d+)|\[?(?P<name>[A-Za-z_]\w*)(?:\[0\])?\]?|(?P<mark>[(),]))\s*')


@dataclass(frozen=True, slots=True)
class Source:
    """A compiled source: how to read it, and the Graph properties it needs."""

    read: Read
    properties: frozenset[str]
    plain: str | None = None
    """The one property whose first value it gives, as `single` does; None for anything less simple."""


def compile_source(text: str) -> Source:
    """Compiles an attribute name or an expression; raises `PolicyError` for one that makes no sense."""
    tokens = _Tokens(text)
    source = _value(tokens)
    if tokens.peek() is not None:
        raise tokens.refusal(f"nothing may follow the value, yet {tokens.peek()!r} does")
    return source


def attribute(name: str) -> Source:
    """Compiles one source attribute, by Graph's name or by Entra's."""
    graph_name = GRAPH_NAMES.get(name, name)
    properties = frozenset({graph_name})
    if graph_name == "id":
        return Source(lambda user: user.id, properties)
    if graph_name == "accountEnabled":
        return Source(lambda user: str(user.account_enabled), properties)
    if name == "userPrincipalName":
        return Source(_user_principal_name, properties)
    if graph_name == "onPremisesExtensionAttributes":
        return Source(lambda user: _inside(user.properties.get(graph_name), name), properties)
    return Source(lambda user: single(user.properties.get(graph_name)), properties, graph_name)


class _Tokens:
    """The tokens of one expression, and the refusal that names it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        at, end = 0, len(text)
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                raise self.refusal(f"{text[at:]!r} cannot be read")
            self._tokens.append(match["text"] or match["name"] or match["mark"])
            at = match.end()
        self._tokens.reverse()

    def peek(self) -> str | None:
        return self._tokens[-1] if self._tokens else None

    def take(self) -> str:
        if not self._tokens:
            raise self.refusal("it ends too early")
        return self._tokens.pop()

    def refusal(self, why: str) -> PolicyError:
        return PolicyError(f"The attribute mapping's source {self._text!r} makes no sense: {why}.")


def _value(tokens: _Tokens) -> Source:
    token = tokens.take()
    if token[0] in "(),":
        raise tokens.refusal(f"a value is missing before {token!r}")
    if token[0] == '"' or token.isdigit():
        constant = token.strip('"')
        return Source(lambda _user: constant, frozenset())
    if tokens.peek() != "(":
        return attribute(token)
    if token not in _FUNCTIONS:
        raise tokens.refusal(f"{token} is not known here; known are {', '.join(sorted(_FUNCTIONS))}")
    arguments = _arguments(tokens)
    if not _fits(token, len(arguments)):
        raise tokens.refusal(f"{token} does not take {len(arguments)} arguments")
    return _call(_FUNCTIONS[token], arguments)


def _arguments(tokens: _Tokens) -> list[Source]:
    arguments: list[Source] = []
    mark = tokens.take()
    while mark != ")":
        if mark not in {"(", ","}:
            raise tokens.refusal(f"a comma or a closing bracket is missing before {mark!r}")
        arguments.append(_EMPTY if tokens.peek() in {",", ")"} else _value(tokens))
        mark = tokens.take()
    return arguments


def _call(function: Callable[[Sequence[str]], str], arguments: Sequence[Source]) -> Source:
    reads = [argument.read for argument in arguments]
    properties = frozenset[str]().union(*(argument.properties for argument in arguments))
    return Source(lambda user: function([_text(read(user)) for read in reads]) or None, properties)


def _user_principal_name(user: GraphUser) -> JsonValue:
    # For B2B guests `#EXT#` and the tenant's domain are taken off; originalUserPrincipalName gives the
    # raw name
    # (Microsoft, how-provisioning-works).
    name = single(user.properties.get("userPrincipalName"))
    return name.partition("#EXT#")[0] if isinstance(name, str) else name


def single(value: JsonValue) -> JsonValue:
    """Gives the first of several values; None for an empty one."""
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    return None if value == "" else value


def _inside(value: JsonValue, name: str) -> JsonValue:
    return single(value.get(name)) if isinstance(value, dict) else None


def _text(value: JsonValue) -> str:
    return "" if value is None else str(value)


def _switch(values: Sequence[str]) -> str:
    source, default, *cases = values
    return dict(zip(cases[::2], cases[1::2], strict=True)).get(source, default)


def _fits(function: str, count: int) -> bool:
    if function == "Switch":
        return count >= 4 and count % 2 == 0
    return count == 1 if function in {"ToLower", "ToUpper", "Trim"} else count >= 2


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")


_EMPTY = Source(lambda _user: None, frozenset())

_FUNCTIONS: dict[str, Callable[[Sequence[str]], str]] = {
    "Append": "".join,
    "Coalesce": _first,
    "Join": lambda values: values[0].join(value for value in values[1:] if value),
    "Switch": _switch,
    "ToLower": lambda values: values[0].lower(),
    "ToUpper": lambda values: values[0].upper(),
    "Trim": lambda values: values[0].strip(),
}
