"""The metadata of all tables, and their kinds of index and foreign key."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import ForeignKeyConstraint, Index, MetaData, text
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
