"""What to search for, as plain values: the algebra that a SCIM filter is read into and
that `store.search.query` turns into SQL.

Logic is two-valued, as RFC 7644 §3.4.2.2 has it: a comparison with an attribute that
has no value is false (but `ne`, true).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Kind(StrEnum):
    """How the values of a field compare."""

    TEXT = "text"
    BOOLEAN = "boolean"
    NUMBER = "number"
    TIME = "time"
    OBJECT = "object"


class Operator(StrEnum):
    EQ = "eq"
    NE = "ne"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


@dataclass(frozen=True, slots=True)
class Field:
    """A place in a document: `[extension].attribute.sub`, by the names its schema gives
    them.
    """

    attribute: str
    sub: str | None = None
    extension: str | None = None
    kind: Kind = Kind.TEXT
    many: bool = False
    """The attribute holds an array."""
    case_exact: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that is given later: one SQL statement serves all criteria that differ in
    values only.
    """

    name: str
    is_ascii: bool = True


@dataclass(frozen=True, slots=True)
class Compare:
    field: Field
    operator: Operator
    value: str | bool | int | float | Parameter | None
    """A time is an ISO 8601 string."""


@dataclass(frozen=True, slots=True)
class Present:
    field: Field


@dataclass(frozen=True, slots=True)
class AnyValue:
    """One value of an array fulfils all of `inner`, whose fields are sub-attributes
    (`Field.attribute`, no `sub`).
    """

    field: Field
    inner: Criterion


@dataclass(frozen=True, slots=True)
class Not:
    inner: Criterion


@dataclass(frozen=True, slots=True)
class All:
    terms: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of the terms."""

    terms: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool


Criterion: TypeAlias = Compare | Present | AnyValue | Not | All | Some | Constant


@dataclass(frozen=True, slots=True)
class Order:
    field: Field
    descending: bool = False


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """One page of a listing: by index (`offset`), or after or before a position of a
    former page.
    """

    criterion: Criterion | None = None
    order: Order | None = None
    offset: int = 0
    limit: int = 100
    position: Position | None = None
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the sort value and the row number of its last row (or of its
    first, going backward).
    """

    value: str | bool | int | float | None
    """A time is an ISO 8601 string."""
    seq: int
    backward: bool = False
    part: int = 0
    """Which of the tables that are searched together the row is in."""
