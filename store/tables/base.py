"""What every table is made of: the metadata, kinds of index and foreign key, and column
types that give the same Python values on SQLite and PostgreSQL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import ClassVar, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(SQLModel):
    """The tables' own metadata, with named constraints that migrations can address."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=_NAMES)


def unique_among(name: str, condition: str, *columns: str) -> Index:
    """Return a unique index over the rows that fulfil the condition only."""
    return Index(name, *columns, unique=True, sqlite_where=text(condition), postgresql_where=text(condition))


def among(name: str, condition: str, *columns: str) -> Index:
    """Return an index over the rows that fulfil the condition only."""
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


def of_connection() -> ForeignKeyConstraint:
    """Bind a row to a connection of its own tenant: no row can name one tenant and
    another's connection.
    """
    return ForeignKeyConstraint(["tenant_id", "connection_id"], ["connections.tenant_id", "connections.id"])


def of_user() -> ForeignKeyConstraint:
    """Bind a row to a user of its own tenant."""
    return ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"])


@lru_cache(maxsize=256)
def _as_text(moment: datetime) -> str:
    """Return the text of a moment.

    It is cached: a transaction writes one moment into many columns.
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime: `timestamptz` on PostgreSQL, fixed-width ISO 8601 text
    (which sorts) on SQLite.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        if dialect.name == "sqlite":
            return cast("TypeEngine[datetime]", String(32))
        return DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        if value is None:
            return None
        return _as_text(value) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)


class Document(TypeDecorator[object]):
    """A JSON document: `jsonb` on PostgreSQL, text on SQLite.

    Orjson on both (see `store.database`).
    """

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[object]:
        if dialect.name == "postgresql":
            return JSONB(none_as_null=True)
        return JSON(none_as_null=True)


class Sequence(TypeDecorator[int]):
    """A growing 64-bit row number.

    On SQLite it must be spelled INTEGER to be the rowid.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[int]:
        return Integer() if dialect.name == "sqlite" else BigInteger()
