"""Values while an expression is evaluated, and how one kind is read as another.

A value is a text, a number, a truth value, an object (an app role) or several of these.
A value that is missing is an `Absent` with the reason. A function never raises for a
user, and never gives an empty text in the place of an answer that it does not have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from store.records import JsonValue

MAX_TEXT = 4096
"""Characters of one result."""

MAX_ITEMS = 1000
"""Elements of one result."""

_MAX_DIGITS = 400


@dataclass(frozen=True, slots=True)
class Absent:
    """No value, and why."""

    reason: str
    is_fault: bool = False
    """Whether the expression cannot be evaluated for this user; False: it is empty.

    Only what is empty in Entra may be emptied here.
    """


Scalar = str | int | float | bool | dict[str, JsonValue]
_SCALARS = (str, int, float, bool, dict)
Value = Scalar | tuple[Scalar, ...] | Absent


def fault(reason: str) -> Absent:
    """Return the value of what cannot be evaluated."""
    return Absent(reason, is_fault=True)


def from_json(value: JsonValue, name: str) -> Value:
    """Return a Graph property as a value; empty texts and lists are absent."""
    if type(value) is str and value:
        return value
    if value is None or value == "" or value == [] or value == ():
        return Absent(f"{name} is empty")
    if isinstance(value, list | tuple):
        return tuple(item for item in value if isinstance(item, _SCALARS) and item != "")
    return value if isinstance(value, _SCALARS) else fault(f"{name} is not a text")


def first_of(value: Value) -> Scalar | Absent:
    """Return the first of several values, or the only one."""
    if isinstance(value, tuple):
        return value[0] if value else Absent("the list is empty")
    return value


def items_of(value: Value) -> tuple[Scalar, ...]:
    """Return all of several values, the only one, or none."""
    if isinstance(value, Absent):
        return ()
    return value if isinstance(value, tuple) else (value,)


def text_of(value: Value) -> str | Absent:
    """Return a value as Entra writes it: truth values are `True` and `False`."""
    if type(value) is str:
        return value
    found = first_of(value)
    if isinstance(found, dict):
        return fault("an app role is not a text")
    return found if isinstance(found, Absent) else str(found)


def number_of(value: Value) -> int | float | Absent:
    """Return a value as a number, written in decimals or in hexadecimal behind `&H`."""
    found = first_of(value)
    if isinstance(found, Absent):
        return found
    if isinstance(found, bool | dict):
        return fault(f"{found!r:.40} is not a number")
    if isinstance(found, int | float):
        return found
    try:
        if len(found) > _MAX_DIGITS:
            raise ValueError
        if found[:2].upper() == "&H":
            return int(found[2:], 16)
        return float(found) if "." in found else int(found)
    except ValueError:
        return fault(f"{found!r:.40} is not a number")


def whole_of(value: Value) -> int | Absent:
    """Return a value as a whole number."""
    found = number_of(value)
    if isinstance(found, float):
        return int(found) if found.is_integer() else fault(f"{found} is not a whole number")
    return found


def truth_of(value: Value) -> bool | Absent:
    """Return a value as true or false; a number is true where it is not zero."""
    found = first_of(value)
    if isinstance(found, str):
        if (word := found.strip().lower()) in ("true", "false"):
            return word == "true"
        found = number_of(found)
        return found if isinstance(found, Absent) else found != 0
    if isinstance(found, dict):
        return fault("an app role is neither true nor false")
    return found if isinstance(found, Absent) else bool(found)


def capped(value: Value) -> Value:
    """Return the value, or a fault where it exceeds `MAX_TEXT` or `MAX_ITEMS`."""
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return fault(f"the result is longer than {MAX_TEXT} characters")
    if isinstance(value, tuple):
        if len(value) > MAX_ITEMS:
            return fault(f"the result has more than {MAX_ITEMS} elements")
        return value if value else Absent("the result has no elements")
    return value


def is_present(value: Value) -> bool:
    """Return whether there is a value other than an empty text."""
    return not isinstance(value, Absent) and value != ""


def several(values: Iterable[Scalar]) -> Value:
    """Return several values as one, absent where there are none."""
    found = tuple(values)
    return found if found else Absent("there are no values")
