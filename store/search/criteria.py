"""What to search for, as plain values: the algebra that a SCIM filter is read into and
that `store.search.query` turns into SQL; and which searches no index answers.

Logic is two-valued, as RFC 7644 §3.4.2.2 has it: a comparison with an attribute that
has no value is false (but `ne`, true).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct


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


class Field(Struct, frozen=True):
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


class Parameter(Struct, frozen=True):
    """A value that is given later: one SQL statement serves all criteria that differ in
    values only.
    """

    name: str
    is_ascii: bool = True


class Compare(Struct, frozen=True):
    field: Field
    operator: Operator
    value: str | bool | int | float | Parameter | None
    """A time is an ISO 8601 string."""


class Present(Struct, frozen=True):
    field: Field


class AnyValue(Struct, frozen=True):
    """One value of an array fulfils all of `inner`, whose fields are sub-attributes
    (`Field.attribute`, no `sub`).
    """

    field: Field
    inner: Criterion


class Not(Struct, frozen=True):
    inner: Criterion


class All(Struct, frozen=True):
    terms: tuple[Criterion, ...]


class Some(Struct, frozen=True):
    """At least one of the terms."""

    terms: tuple[Criterion, ...]


class Constant(Struct, frozen=True):
    value: bool


Criterion: TypeAlias = Compare | Present | AnyValue | Not | All | Some | Constant


class Order(Struct, frozen=True):
    field: Field
    descending: bool = False


class SearchQuery(Struct, frozen=True):
    """One page of a listing: by index (`offset`), or after or before a position of a
    former page.
    """

    criterion: Criterion | None = None
    order: Order | None = None
    offset: int = 0
    limit: int = 100
    position: Position | None = None
    counted: bool = True
    is_match: bool = False
    """Whether the push looks for the account of a person: see
    `store.sync.holder_notes`.
    """


class Position(Struct, frozen=True):
    """Where a page ended: the sort value and the row number of its last row (or of its
    first, going backward).
    """

    value: str | bool | int | float | None
    """A time is an ISO 8601 string."""
    seq: int
    backward: bool = False
    part: int = 0
    """Which of the tables that are searched together the row is in."""


_INDEXED = frozenset({"id", "userName", "displayName", "externalId"})


def reads_every_row(query: SearchQuery) -> bool:
    """Whether no index answers a search, so that it costs what the tenant is large."""
    return query.order is not None or (query.criterion is not None and not _is_indexed(query.criterion))


def comparisons(query: SearchQuery) -> int:
    """Return how often each row is compared by a search that reads every row."""
    return (query.order is not None) + (0 if query.criterion is None else _comparisons(query.criterion))


def _comparisons(criterion: Criterion) -> int:
    if isinstance(criterion, All | Some):
        return sum(map(_comparisons, criterion.terms))
    return _comparisons(criterion.inner) if isinstance(criterion, Not | AnyValue) else 1


def _is_indexed(criterion: Criterion) -> bool:
    if isinstance(criterion, Constant):
        return not criterion.value
    if isinstance(criterion, All):
        return any(map(_is_indexed, criterion.terms))
    if isinstance(criterion, Some):
        return all(map(_is_indexed, criterion.terms))
    if isinstance(criterion, AnyValue):
        return criterion.field.attribute == "emails" and _names_a_value(criterion.inner)
    return (
        isinstance(criterion, Compare)
        and criterion.operator is Operator.EQ
        and criterion.field.attribute in _INDEXED
        and criterion.field.sub is criterion.field.extension is None
    )


def _names_a_value(inner: Criterion) -> bool:
    """Whether it is `type eq "work" and value eq "…"`, for which there is an index."""
    terms = inner.terms if isinstance(inner, All) else ()
    named: set[str] = {_name(t.field) for t in terms if isinstance(t, Compare) and t.operator is Operator.EQ}
    return {"type", "value"} <= named


def _name(compared: Field) -> str:
    return compared.attribute
