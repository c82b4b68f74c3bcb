"""Turning criteria into SQL.

What `store.tables` keeps in a column of its own is compared there, by index where it
can be; everything else inside the document. The values of an array are rows:
`json_each`, `jsonb_array_elements`, and for members the memberships themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from msgspec import structs
from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    String,
    Table,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
)

from store import tables
from store.engine.list_lookups import checked
from store.keys import LONGEST_KEY
from store.search.criteria import (
    All,
    AnyValue,
    Compare,
    Constant,
    Criterion,
    Field,
    Kind,
    Not,
    Operator,
    Parameter,
    Present,
    Some,
)
from store.search.dialects import TYPES, Dialect, ExactKey, Expression, Folded, SearchKey, bound

_EXTERNAL_ID = Field("externalId", case_exact=True)
_ORDERING = (Operator.GT, Operator.GE, Operator.LT, Operator.LE)


@dataclass(frozen=True, slots=True)
class Row:
    """Fields are read from a row of `users` or `groups`."""

    table: Table


@dataclass(frozen=True, slots=True)
class Element:
    """Fields are read from one value of an array in a document."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Link:
    """Fields are read from one membership: `value` is the other end's id, `type` what
    it is.
    """

    identifier: Expression
    type: Expression


Source = Row | Element | Link


def where(criterion: Criterion, source: Source, dialect: Dialect) -> ColumnElement[bool]:
    """Return the condition a row (or a value) must fulfil; it is never NULL."""
    if isinstance(criterion, Constant):
        return true() if criterion.value else false()
    if isinstance(criterion, Not):
        return not_(where(criterion.inner, source, dialect))
    if isinstance(criterion, All):
        return and_(true(), *_terms(criterion.terms, source, dialect, _all_values))
    if isinstance(criterion, Some):
        return or_(false(), *_terms(criterion.terms, source, dialect, _some_value))
    if isinstance(criterion, AnyValue):
        return _any_value(
            criterion.field, source, dialect, lambda each: where(criterion.inner, each, dialect)
        )
    if isinstance(criterion, Present):
        return _present(criterion.field, source, dialect)
    return _compare(criterion, source, dialect)


Join: TypeAlias = Callable[[Sequence[AnyValue], Row, Dialect], ColumnElement[bool]]


def _terms(
    terms: Sequence[Criterion], source: Source, dialect: Dialect, join: Join
) -> Iterator[ColumnElement[bool]]:
    """Yield the condition of each term; those on the values of one list are joined.

    The list of a row is then read once, not once for each of them. Memberships are no
    list in a document: each is found by its index.
    """
    if not isinstance(source, Row):
        yield from (where(term, source, dialect) for term in terms)
        return
    lists: dict[tuple[str | None, str], list[AnyValue]] = {}
    for term in terms:
        of_values = _on_values(term)
        if of_values is None or _links(of_values.field, source) is not None:
            yield where(term, source, dialect)
        else:
            lists.setdefault((of_values.field.extension, of_values.field.attribute), []).append(of_values)
    for found in lists.values():
        yield join(found, source, dialect) if len(found) > 1 else where(found[0], source, dialect)


def _some_value(found: Sequence[AnyValue], source: Row, dialect: Dialect) -> ColumnElement[bool]:
    """Return that some value fulfils one of the conditions."""
    return where(AnyValue(found[0].field, Some(tuple(each.inner for each in found))), source, dialect)


def _all_values(found: Sequence[AnyValue], source: Row, dialect: Dialect) -> ColumnElement[bool]:
    """Return that each of the conditions is fulfilled by some value."""
    elements, value = dialect.elements(source.table.c.document, _list_path(found[0].field))
    met = (func.max(case((where(each.inner, Element(value), dialect), 1), else_=0)) for each in found)
    are_met: ColumnElement[bool] = (
        select(and_(*(each == 1 for each in met))).select_from(elements).scalar_subquery()
    )
    return func.coalesce(are_met, false())


def _on_values(term: Criterion) -> AnyValue | None:
    """Return a condition that one value of a list can fulfil, None for any other."""
    if isinstance(term, AnyValue):
        return term
    if not isinstance(term, Compare) or not term.field.many or term.value is None:
        return None
    return None if term.operator is Operator.NE else AnyValue(term.field, _of_value(term))


def _of_value(node: Compare) -> Compare:
    """Return the comparison with one value of a list."""
    field = node.field
    inner = Field(field.sub or "value", kind=field.kind, case_exact=field.case_exact)
    return Compare(inner, node.operator, node.value)


def sort_value(field: Field, source: Row, dialect: Dialect) -> Expression:
    """Return what rows are sorted by.

    Of several values the primary or first (RFC 7644 §3.4.2.3).
    """
    if field.many:
        each, value = dialect.elements(
            source.table.c.document, _path(field)[:-1] if field.sub else _path(field)
        )
        item = dialect.scalar(value, (field.sub or "value",), field.kind)
        primary = dialect.scalar(value, ("primary",), Kind.BOOLEAN)
        first = case((primary.is_(true()), 0), else_=1)
        expression: Expression = select(item).select_from(each).order_by(first).limit(1).scalar_subquery()
    else:
        expression = _value(field, source, dialect)
    if field.kind is not Kind.TEXT:
        return expression
    return dialect.ordered(
        expression if field.case_exact or _key(field, source) is not None else func.lower(expression)
    )


def _compare(node: Compare, source: Source, dialect: Dialect) -> ColumnElement[bool]:
    field = node.field
    if field.many and not isinstance(source, Element | Link):
        return _compare_values(node, source, dialect)
    if node.value is None:
        return _compare_with_null(_value(field, source, dialect, raw=True), node.operator)
    assert isinstance(node.value, Parameter)
    key = _key(field, source)
    if key is not None:
        return _compare_key(key, node, source, dialect)
    expression = _value(field, source, dialect, raw=True)
    if field.kind is Kind.TEXT:
        return _compare_text(expression, node.value, node, dialect)
    if field.kind is Kind.OBJECT:
        return false()
    return _simple(expression, node.operator, bound(node.value, TYPES[field.kind]), dialect)


def _compare_key(key: Expression, node: Compare, source: Source, dialect: Dialect) -> ColumnElement[bool]:
    """Compare with the folded form of a name, which the row has in a column."""
    assert isinstance(node.value, Parameter)
    if node.operator in (Operator.EQ, Operator.NE):
        return _simple(key, node.operator, bound(node.value, SearchKey()), dialect)
    ordered = dialect.ordered(key) if node.operator in _ORDERING else key
    whole = _simple(ordered, node.operator, bound(node.value, Folded()), dialect)
    # The key of a long name ends in a digest.
    name = _compare_text(_value(node.field, source, dialect, raw=True), node.value, node, dialect)
    return or_(and_(func.length(key) <= LONGEST_KEY, whole), and_(func.length(key) > LONGEST_KEY, name))


def _compare_text(
    expression: Expression, parameter: Parameter, node: Compare, dialect: Dialect
) -> ColumnElement[bool]:
    is_key = node.field == _EXTERNAL_ID and node.operator in (Operator.EQ, Operator.NE)
    value: Expression = bound(parameter, ExactKey() if is_key else String())
    if not node.field.case_exact:
        expression, value = dialect.fold(expression, parameter)
    if node.operator in _ORDERING:
        expression = dialect.ordered(expression)
    return _simple(expression, node.operator, value, dialect)


def _simple(expression: Expression, operator: Operator, value: Any, dialect: Dialect) -> ColumnElement[bool]:
    if operator is Operator.NE:
        return or_(expression.is_(None), expression != value)
    if operator is Operator.CO:
        # LIKE would need escaping and ignores case on SQLite. The text is read once.
        return func.coalesce(dialect.position(expression, value), 0) > 0
    comparison: Mapping[Operator, Callable[[], Any]] = {
        Operator.EQ: lambda: expression == value,
        Operator.GT: lambda: expression > value,
        Operator.GE: lambda: expression >= value,
        Operator.LT: lambda: expression < value,
        Operator.LE: lambda: expression <= value,
        Operator.SW: lambda: func.substr(expression, 1, func.length(value)) == value,
        Operator.EW: lambda: (
            func.substr(expression, func.length(expression) - func.length(value) + 1) == value
        ),
    }
    there = expression.is_not(None)
    # SQLite may take this for what it searches an index by, before the value itself.
    is_looked_up = operator is Operator.EQ and isinstance(expression, Column)
    return and_(checked(there) if is_looked_up else there, comparison[operator]())


def _compare_with_null(expression: Expression, operator: Operator) -> ColumnElement[bool]:
    if operator is Operator.EQ:
        return expression.is_(None)
    return expression.is_not(None) if operator is Operator.NE else false()


def _compare_values(node: Compare, source: Source, dialect: Dialect) -> ColumnElement[bool]:
    """Compare an array: one matching value is enough, but `ne` says that no value is
    equal.
    """
    field = node.field

    def some(operator: Operator) -> ColumnElement[bool]:
        condition = _of_value(structs.replace(node, operator=operator))
        return _any_value(field, source, dialect, lambda each: where(condition, each, dialect))

    if node.value is None:
        there = _any_value(field, source, dialect, lambda _: true())
        unset = or_(not_(there), some(Operator.EQ))
        return {Operator.EQ: unset, Operator.NE: not_(unset)}.get(node.operator, false())
    return not_(some(Operator.EQ)) if node.operator is Operator.NE else some(node.operator)


def _present(field: Field, source: Source, dialect: Dialect) -> ColumnElement[bool]:
    if field.many and isinstance(source, Row):
        if field.sub is None:
            return _any_value(field, source, dialect, lambda _: true())
        inner = Present(Field(field.sub, kind=field.kind))
        return _any_value(field, source, dialect, lambda each: where(inner, each, dialect))
    expression = _value(field, source, dialect, raw=True)
    if field.kind is Kind.TEXT:
        return and_(expression.is_not(None), expression != "")
    if field.kind is Kind.OBJECT:
        return and_(expression.is_not(None), expression != "{}")
    return expression.is_not(None)


def _any_value(
    field: Field, source: Source, dialect: Dialect, condition: Callable[[Source], ColumnElement[bool]]
) -> ColumnElement[bool]:
    if not isinstance(source, Row):
        return false()
    linked = _links(field, source)
    if linked is not None:
        each, link, joined = linked
        return exists(select(literal(1)).select_from(each).where(joined, condition(link)))
    elements, value = dialect.elements(source.table.c.document, _list_path(field))
    return exists(select(literal(1)).select_from(elements).where(condition(Element(value))))


def _list_path(field: Field) -> tuple[str, ...]:
    return (field.extension, field.attribute) if field.extension else (field.attribute,)


def _links(field: Field, source: Row) -> tuple[FromClause, Link, ColumnElement[bool]] | None:
    """Return the memberships behind `members` of a group and `groups` of a user, which
    are in no document.
    """
    each = tables.memberships.alias()
    if source.table is tables.groups and field.attribute == "members":
        return each, Link(each.c.member_id, each.c.member_type), each.c.group_id == source.table.c.id
    if source.table is tables.users and field.attribute == "groups":
        return each, Link(each.c.group_id, literal("direct")), each.c.member_id == source.table.c.id
    return None


def _value(field: Field, source: Source, dialect: Dialect, *, raw: bool = False) -> Expression:
    if isinstance(source, Link):
        return {"value": source.identifier, "type": source.type}.get(field.attribute, null())
    if isinstance(source, Element):
        return dialect.scalar(source.value, (field.attribute,), field.kind)
    column = _column(field, source) if raw else _key(field, source)
    if column is None:
        column = _column(field, source)
    return dialect.scalar(source.table.c.document, _path(field), field.kind) if column is None else column


def _column(field: Field, source: Row) -> Expression | None:
    """Return the column that holds a field as it was written, where there is one."""
    columns = source.table.c
    if field.extension:
        return None
    if field.attribute == "meta":
        version = literal('W/"') + cast(columns.version, String) + literal('"')
        return {"created": columns.created_at, "lastModified": columns.last_modified, "version": version}.get(
            field.sub or ""
        )
    names = {"id": "id", "externalId": "external_id", "userName": "user_name", "active": "active"}
    if source.table is tables.groups:
        names["displayName"] = "display_name"
    name = names.get(field.attribute)
    return columns.get(name) if name and not field.sub else None


def _key(field: Field, source: Source) -> Expression | None:
    """Return the indexed column that holds the case-insensitive form of a field, where
    there is one.
    """
    if not isinstance(source, Row) or field.extension or field.sub:
        return None
    names = {"userName": "user_name_key", "displayName": "display_name_key"}
    name = names.get(field.attribute)
    return source.table.c.get(name) if name else None


def _path(field: Field) -> tuple[str, ...]:
    return tuple(name for name in (field.extension, field.attribute, field.sub) if name)
