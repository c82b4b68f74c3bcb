"""Entra's scoping filters, compiled to a test of a user.

Clauses are ANDed within a filter, and filters are ORed. Without a filter every user
passes. Comparison is exact, letter case included. An empty attribute makes every clause
false but `IS NULL`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from store.records import JsonValue, Policy, ScopingClause
from worker.reconcile.mapping.attribute_paths import PolicyError
from worker.reconcile.mapping.expressions import attribute
from worker.reconcile.mapping.source_attributes import unknown_attribute
from worker.reconcile.snapshot import GraphUser

Test = Callable[[GraphUser], bool]
Compare = Callable[[str], bool]

_NOT_USABLE = frozenset(
    {"members", "ismemberof", "approleassignments", "usertype", "manager", "businessphones", "proxyaddresses"}
)
"""Attributes that Entra refuses in a scoping filter.

These are multi-valued attributes, references and userType.
"""


def compile_filters(policy: Policy) -> Test:
    """Compile the connection's scoping filters to one test.

    Raise `PolicyError` for a filter that cannot be read.
    """
    filters = [[_clause(clause) for clause in clauses] for clauses in policy.scoping_filters]
    if not filters:
        return lambda _user: True
    return lambda user: any(all(holds(user) for holds in clauses) for clauses in filters)


def parse_clause(text: str) -> ScopingClause:
    """Read a clause as people write it: `department EQUALS Sales`.

    Raise `PolicyError` for an unknown operator or attribute, or a value that does not
    go with the operator.
    """
    name, _, rest = text.strip().partition(" ")
    words = rest.split()
    for length in range(min(len(words), _MOST_WORDS), 0, -1):
        operator = "_".join(words[:length]).upper()
        if operator == "IS_NULL" or operator in _OPERATORS:
            value = rest.strip().split(maxsplit=length)[length:]
            return check_clause(ScopingClause(name, operator, value[0] if value else ""))
    raise PolicyError(
        f"Scoping filter {text.strip()!r}: wanted is ATTRIBUTE OPERATOR VALUE, "
        f"for example `department EQUALS Sales`; operators are {_known_operators()}."
    )


def check_clause(clause: ScopingClause) -> ScopingClause:
    """Return the clause; raise `PolicyError` where it cannot decide anything."""
    _clause(clause)
    if why := unknown_attribute(clause.attribute):
        raise PolicyError(f"Scoping filter: {why}.")
    takes_value = clause.operator.strip().upper().replace(" ", "_") not in _WITHOUT_VALUE
    if takes_value is not bool(clause.value):
        fault = "needs a value" if takes_value else "takes no value"
        raise PolicyError(f"Scoping filter on {clause.attribute}: {clause.operator} {fault}.")
    return clause


def print_clause(clause: ScopingClause) -> str:
    """Return a clause as `parse_clause` reads it."""
    return f"{clause.attribute} {clause.operator} {clause.value}".strip()


def _known_operators() -> str:
    return ", ".join(sorted([*_OPERATORS, "IS_NULL"]))


def _clause(clause: ScopingClause) -> Test:
    if clause.attribute.lower() in _NOT_USABLE:
        raise PolicyError(
            f"Scoping filter: Entra does not filter on {clause.attribute}; choose another attribute."
        )
    read = attribute(clause.attribute).read
    operator = clause.operator.strip().upper().replace(" ", "_")
    if operator == "IS_NULL":
        return lambda user: read(user) is None
    if operator not in _OPERATORS:
        raise PolicyError(
            f"Scoping filter: the operator {clause.operator!r} is not one of {_known_operators()}."
        )
    compare = _OPERATORS[operator](clause)
    return lambda user: (value := read(user)) is not None and compare(_text(value))


def _text(value: JsonValue) -> str:
    return str(value)


def _regex(clause: ScopingClause) -> Callable[[str], bool]:
    try:
        pattern = re.compile(clause.value)
    except re.error as error:
        raise PolicyError(
            f"Scoping filter on {clause.attribute}: {clause.value!r} is not a regular expression ({error})."
        ) from error
    return lambda text: pattern.search(text) is not None


def _not_regex(clause: ScopingClause) -> Compare:
    matches = _regex(clause)
    return lambda text: not matches(text)


def _number(compare: Callable[[int, int], bool]) -> Callable[[ScopingClause], Compare]:
    def compile_clause(clause: ScopingClause) -> Compare:
        limit = _integer(clause.value)
        if limit is None:
            raise PolicyError(
                f"Scoping filter on {clause.attribute}: {clause.value!r} is not a whole number, "
                f"which {clause.operator} needs."
            )
        return lambda text: (number := _integer(text)) is not None and compare(number, limit)

    return compile_clause


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


_OPERATORS: Mapping[str, Callable[[ScopingClause], Compare]] = {
    "EQUALS": lambda clause: clause.value.__eq__,
    "NOT_EQUALS": lambda clause: clause.value.__ne__,
    "IS_TRUE": lambda _clause: "True".__eq__,
    "IS_FALSE": lambda _clause: "False".__eq__,
    "IS_NOT_NULL": lambda _clause: lambda _text: True,
    "REGEX_MATCH": _regex,
    "NOT_REGEX_MATCH": _not_regex,
    "GREATER_THAN": _number(lambda a, b: a > b),
    "GREATER_THAN_OR_EQUALS": _number(lambda a, b: a >= b),
    "INCLUDES": lambda clause: lambda text: clause.value in text,
    "ENDS_WITH": lambda clause: lambda text: text.endswith(clause.value),
    "&": _number(lambda a, b: a & b != 0),
    "!&": _number(lambda a, b: a & b == 0),
}
"""Entra's operators, by upper case name.

The source is Microsoft's `define-conditional-rules-for-provisioning-user-accounts`.
"""

_WITHOUT_VALUE = frozenset({"IS_NULL", "IS_NOT_NULL", "IS_TRUE", "IS_FALSE"})
_MOST_WORDS = 4
"""Words of the longest operator: greater than or equals."""
