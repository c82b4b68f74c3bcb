"""What SQLite and PostgreSQL say differently when documents are searched: JSON
functions, letters, order of text.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from unicodedata import normalize

from sqlalchemy import (
    Boolean,
    ColumnElement,
    FromClause,
    LargeBinary,
    Numeric,
    String,
    bindparam,
    case,
    cast,
    func,
    null,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeDecorator, TypeEngine

from store.keys import search_key
from store.records import exact_key, folded
from store.search.criteria import Kind, Parameter
from store.tables.base import UtcDateTime

Expression: TypeAlias = ColumnElement[Any]
TYPES: Mapping[Kind, TypeEngine[Any]] = {
    Kind.BOOLEAN: Boolean(),
    Kind.NUMBER: Numeric(asdecimal=False),
    Kind.TIME: UtcDateTime(),
}


class SearchKey(TypeDecorator[str]):
    """Text that is compared with one of the `…_key` columns."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: object) -> str:
        return search_key(str(value))


class ExactKey(TypeDecorator[str]):
    """Text that is compared with a column that holds exact keys, such as externalId."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: object) -> str:
        return exact_key(str(value))


class Folded(TypeDecorator[str]):
    """Text that is compared without regard to case."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: object) -> str:
        return folded(str(value))


class LowerCase(TypeDecorator[str]):
    """Text in lower case: PostgreSQL before 18 knows no case folding."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: object) -> str:
        return normalize("NFC", normalize("NFC", str(value)).lower())


class Dialect(Hashable, Protocol):
    """What the two databases say differently."""

    def scalar(self, document: Expression, path: tuple[str, ...], kind: Kind) -> Expression: ...

    def elements(self, document: Expression, path: tuple[str, ...]) -> tuple[FromClause, Expression]: ...

    def fold(self, text: Expression, parameter: Parameter) -> tuple[Expression, Expression]:
        """Give both in the form they compare in where case does not matter."""
        ...

    def ordered(self, text: Expression) -> Expression:
        """Create text compare by code point, as SQLite and Python do."""
        ...

    def position(self, text: Expression, part: Expression) -> Expression:
        """Give where a part begins in a text, from 1; 0 where it does not."""
        ...


@dataclass(frozen=True, slots=True)
class Sqlite:
    def scalar(self, document: Expression, path: tuple[str, ...], kind: Kind) -> Expression:
        return func.json_extract(document, _json_path(path), type_=TYPES.get(kind, String()))

    def elements(self, document: Expression, path: tuple[str, ...]) -> tuple[FromClause, Expression]:
        each = func.json_each(document, _json_path(path)).table_valued("value").alias()
        return each, each.c.value

    def fold(self, text: Expression, parameter: Parameter) -> tuple[Expression, Expression]:
        # SQLite's lower() knows ASCII only, which is all that can equal ASCII; `fold`
        # is ours (store.engine.sqlite). It is called for text beyond ASCII alone (more
        # bytes than characters): the lock of the interpreter is taken for each call,
        # and other requests wait for it.
        value = bound(parameter, Folded())
        if parameter.is_ascii:
            return func.lower(text), value
        is_ascii_text = func.length(text) == func.length(cast(text, LargeBinary))
        return case((is_ascii_text, func.lower(text)), else_=func.fold(text)), value

    def ordered(self, text: Expression) -> Expression:
        return text

    def position(self, text: Expression, part: Expression) -> Expression:
        return func.instr(text, part)


@dataclass(frozen=True, slots=True)
class Postgresql:
    folds_unicode: bool
    """The server has `pg_c_utf8` (PostgreSQL 17), which knows letters beyond ASCII
    in any locale of the database.
    """

    def scalar(self, document: Expression, path: tuple[str, ...], kind: Kind) -> Expression:
        text = func.jsonb_extract_path_text(document, *path, type_=String())
        if kind not in TYPES:
            return text
        type_name = func.jsonb_typeof(func.jsonb_extract_path(document, *path))
        return case((type_name == kind.value, cast(text, TYPES[kind])), else_=null())

    def elements(self, document: Expression, path: tuple[str, ...]) -> tuple[FromClause, Expression]:
        array = func.jsonb_extract_path(document, *path)
        safe = case((func.jsonb_typeof(array) == "array", array), else_=func.jsonb_build_array())
        each = func.jsonb_array_elements(safe).table_valued("value").alias()
        return each, each.c.value

    def fold(self, text: Expression, parameter: Parameter) -> tuple[Expression, Expression]:
        if parameter.is_ascii:
            return func.lower(text), bound(parameter, LowerCase())
        if self.folds_unicode:
            composed = func.normalize(text, type_=String())
            return func.lower(composed.collate("pg_c_utf8")), bound(parameter, LowerCase())
        # Both by the server, so that at least the same spelling is found under a locale
        # that knows ASCII only.
        return func.lower(text), func.lower(bound(parameter, String()))

    def ordered(self, text: Expression) -> Expression:
        return text.collate("C")

    def position(self, text: Expression, part: Expression) -> Expression:
        return func.strpos(text, part)


def dialect_of(connection: AsyncConnection) -> Dialect:
    """Return what the database behind a connection speaks."""
    if connection.dialect.name == "sqlite":
        return Sqlite()
    version = connection.dialect.server_version_info or (0,)
    return Postgresql(folds_unicode=int(version[0]) >= 17)


def bound(parameter: Parameter, type_: TypeEngine[Any]) -> Expression:
    """Return the place of a value in a statement."""
    return bindparam(parameter.name, type_=type_)


def _json_path(path: tuple[str, ...]) -> str:
    # Names come from the grammar of attribute paths, which knows no quote; the path is
    # a bound value all the same.
    return "$" + "".join(f'."{name}"' for name in path)
