"""`$filter`: a small recursive-descent parser that turns the expression into a
predicate on a property mapping.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulator.graph.limits import MOST_OR_CLAUSES
from simulator.graph.wire import bad_request
from simulator.objects import JsonValue

Predicate = Callable[[Mapping[str, JsonValue]], bool]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*')
    | (?P<moment>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))
    | (?P<guid>[0-9a-fA-F]{8}-[0-9a-fA-F-]{27})
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<word>[A-Za-z_@$][\w./@$]*)
    | (?P<sign>[(),:])
    )""",
    re.VERBOSE,
)
_COMPARISONS = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
_FUNCTIONS = frozenset({"startswith", "endswith", "contains"})


@dataclass(frozen=True, slots=True)
class Filter:
    matches: Predicate
    is_advanced: bool
    """Uses `ne`, `not`, `endsWith` or a lambda with them: needs `ConsistencyLevel:
    eventual` and `$count=true`."""


def parse_filter(text: str, *, is_by_index: bool = False) -> Filter:
    """Parse an expression; one that is not understood is Graph's 400."""
    parser = _Parser(text, is_by_index=is_by_index)
    predicate = parser.disjunction()
    if parser.place < len(parser.tokens):
        raise parser.failure()
    return Filter(predicate, parser.is_advanced)


class _Parser:
    def __init__(self, text: str, *, is_by_index: bool) -> None:
        self.text = text
        self.is_by_index = is_by_index
        """An advanced query allows more values after `in`."""
        self.tokens = _tokens(text)
        self.place = 0
        self.is_advanced = False
        self.variable = ""
        """Name of the element inside `any(x:...)`."""

    def failure(self) -> Exception:
        return bad_request(f"Invalid filter clause: Syntax error at token {self.place} in '{self.text}'.")

    def peek(self) -> str:
        return self.tokens[self.place].lower() if self.place < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        if self.place >= len(self.tokens) or (expected is not None and self.peek() != expected):
            raise self.failure()
        self.place += 1
        return self.tokens[self.place - 1]

    def disjunction(self) -> Predicate:
        parts = [self.conjunction()]
        while self.peek() == "or":
            self.take()
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else lambda item: any(part(item) for part in parts)

    def conjunction(self) -> Predicate:
        parts = [self.negation()]
        while self.peek() == "and":
            self.take()
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else lambda item: all(part(item) for part in parts)

    def negation(self) -> Predicate:
        if self.peek() != "not":
            return self.term()
        self.take()
        self.is_advanced = True
        inner = self.term()
        return lambda item: not inner(item)

    def term(self) -> Predicate:
        if self.peek() == "(":
            self.take()
            inner = self.disjunction()
            self.take(")")
            return inner
        if self.peek() in _FUNCTIONS:
            return self.function()
        if self.peek().endswith("/any"):
            return self.any_of()
        return self.comparison()

    def function(self) -> Predicate:
        name = self.take().lower()
        self.take("(")
        path = self.take()
        self.take(",")
        wanted = str(self.literal()).lower()
        self.take(")")
        self.is_advanced |= name == "endswith"
        test: Callable[[str], bool] = {
            "startswith": lambda value: value.startswith(wanted),
            "endswith": lambda value: value.endswith(wanted),
            "contains": lambda value: wanted in value,
        }[name]
        read = self.reader(path)
        return lambda item: isinstance(value := read(item), str) and test(value.lower())

    def any_of(self) -> Predicate:
        path = self.take()[: -len("/any")]
        self.take("(")
        self.variable = self.take()
        self.take(":")
        inner = self.disjunction()
        self.take(")")
        variable, self.variable = self.variable, ""
        read = self.reader(path)

        def matches(item: Mapping[str, JsonValue]) -> bool:
            values = read(item)
            return isinstance(values, list) and any(inner({variable: value}) for value in values)

        return matches

    def comparison(self) -> Predicate:
        read = self.reader(self.take())
        operator = self.take().lower()
        if operator == "in":
            wanted_any = self.literal_list()
            return lambda item: _folded(read(item)) in wanted_any
        if operator not in _COMPARISONS:
            raise self.failure()
        self.is_advanced |= operator == "ne"
        wanted = _folded(self.literal())
        return lambda item: _compare(_folded(read(item)), operator, wanted)

    def literal_list(self) -> list[JsonValue]:
        self.take("(")
        values = [_folded(self.literal())]
        while self.peek() == ",":
            self.take()
            values.append(_folded(self.literal()))
        self.take(")")
        if len(values) > MOST_OR_CLAUSES and not self.is_by_index:
            raise bad_request(
                "Too many child clauses specified in search filter expression containing 'OR' operators: "
                f"{len(values)}. Max allowed: {MOST_OR_CLAUSES}",
                "Request_UnsupportedQuery",
            )
        return values

    def literal(self) -> JsonValue:
        token = self.take()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token.lower() in {"true", "false", "null"}:
            return {"true": True, "false": False, "null": None}[token.lower()]
        return float(token) if re.fullmatch(r"-?\d+(\.\d+)?", token) else token

    def reader(self, path: str) -> Callable[[Mapping[str, JsonValue]], JsonValue]:
        return lambda item: _at(item, path)


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    place = 0
    while place < len(text.rstrip()):
        found = _TOKEN.match(text, place)
        if found is None:
            raise bad_request(f"Invalid filter clause: Syntax error at position {place} in '{text}'.")
        tokens.append(found[0].strip())
        place = found.end()
    return tokens


def _at(item: Mapping[str, JsonValue], path: str) -> JsonValue:
    value: JsonValue = item
    for name in path.split("/"):
        value = _property(value, name)
    return value


def _property(value: JsonValue, name: str) -> JsonValue:
    """Read one name; audit filters write `jobid` for `jobId` (documented), so case does
    not matter.
    """
    if not isinstance(value, Mapping):
        return None
    if name in value:
        return value[name]
    return next((held for key, held in value.items() if key.lower() == name.lower()), None)


def _folded(value: JsonValue) -> JsonValue:
    return value.lower() if isinstance(value, str) else value


def _compare(value: JsonValue, operator: str, wanted: JsonValue) -> bool:
    if operator in {"eq", "ne"}:
        return (value == wanted) is (operator == "eq")
    order = _order(value, wanted)
    if order is None:
        return False
    return {"gt": order > 0, "ge": order >= 0, "lt": order < 0, "le": order <= 0}[operator]


def _order(value: JsonValue, wanted: JsonValue) -> int | None:
    """Return which is larger; None for what cannot be compared."""
    if isinstance(value, str):
        return (value > wanted) - (value < wanted) if isinstance(wanted, str) else None
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return (value > wanted) - (value < wanted)
    return None
