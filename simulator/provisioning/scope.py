"""Who is in scope: assignment (direct, or direct membership of an assigned group) and
scoping filters.

Nested groups are not expanded, and a group must be a security group.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.directory import Directory
from simulator.provisioning.mapping import source_value

NOT_USABLE = frozenset(
    {"members", "isMemberOf", "appRoleAssignments", "userType", "manager", "businessPhones", "proxyAddresses"}
)
"""Attributes that a scoping filter refuses (SCOPE)."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One line of a scoping filter."""

    attribute: str
    operator: str
    value: str = ""

    def __post_init__(self) -> None:
        if self.operator not in _OPERATORS:
            raise ValueError(f"unknown operator {self.operator!r}; known: {', '.join(_OPERATORS)}")
        if self.attribute in NOT_USABLE:
            raise ValueError(f"{self.attribute!r} cannot be used in a scoping filter")


ScopingFilters = tuple[tuple[Clause, ...], ...]
"""Clauses are ANDed within a filter, filters are ORed; no filter at all lets every
object through."""


def passes(filters: ScopingFilters, source: Mapping[str, Any]) -> bool:
    """Return whether a source object passes the scoping filters."""
    return not filters or any(all(_holds(clause, source) for clause in clauses) for clauses in filters)


def assigned_users(directory: Directory) -> set[str]:
    """Return every live user with an assignment, enabled or not."""
    found = {principal for principal in directory.assignments if principal in directory.users}
    for group_id in directory.assignments:
        group = directory.groups.get(group_id)
        if group is not None and is_security_group(group.properties):
            found.update(member for member in group.member_ids if member in directory.users)
    return found


def is_security_group(properties: Mapping[str, Any]) -> bool:
    return properties.get("securityEnabled") is True


def _holds(clause: Clause, source: Mapping[str, Any]) -> bool:
    text = source_value(source, clause.attribute)
    if clause.operator == "IS NULL":
        return text is None
    # A null attribute makes every other clause false.
    return text is not None and _OPERATORS[clause.operator](text, clause.value)


def _number(compare: Callable[[int, int], bool]) -> Callable[[str, str], bool]:
    def holds(text: str, value: str) -> bool:
        try:
            return compare(int(text), int(value))
        except ValueError:
            return False

    return holds


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "EQUALS": lambda text, value: text == value,
    "NOT EQUALS": lambda text, value: text != value,
    "IS TRUE": lambda text, _: text == "True",
    "IS FALSE": lambda text, _: text == "False",
    "IS NULL": lambda _text, _: False,
    "IS NOT NULL": lambda _text, _: True,
    "REGEX MATCH": lambda text, value: re.search(value, text) is not None,
    "NOT REGEX MATCH": lambda text, value: re.search(value, text) is None,
    "Greater_Than": _number(lambda a, b: a > b),
    "Greater_Than_OR_EQUALS": _number(lambda a, b: a >= b),
    "Includes": lambda text, value: value in text,
    "ENDS_WITH": lambda text, value: text.endswith(value),
    "&": _number(lambda a, b: a & b != 0),
    "!&": _number(lambda a, b: a & b == 0),
}
