"""The unit of writing, JSON by orjson, and driver errors as `StoreError`s, for both
databases.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import asyncpg
import orjson
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection

from store.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    DiskFull,
    NotFound,
    SchemaOutOfDate,
    StoreError,
    WrongDatabase,
)

T = TypeVar("T")
Work: TypeAlias = Callable[[AsyncConnection], Awaitable[T]]


def to_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


JSON_BY_ORJSON: dict[str, Any] = {
    "json_serializer": to_json,
    "json_deserializer": orjson.loads,
    "hide_parameters": True,  # they are people's data, and errors end up in logs (invariant I9)
}

NOT_MIGRATED = "the database has no or an older schema: run `leaver db upgrade`"

_WRONG = (
    "password authentication failed",
    "does not exist",
    "no password supplied",
    "unable to open database",
    "not a database",
    "malformed",
)
_BUSY = (
    "database is locked",
    "database table is locked",
    "deadlock detected",
    "could not serialize",
    "remaining connection slots",
    "too many clients",
)
# PostgreSQL, appendix A: error codes
_UNIQUE_VIOLATION = "23505"
_FOREIGN_KEY_VIOLATION = "23503"
_GONE = ("08", "57P")
"""Connection exceptions, and a server that shuts down or starts.

The driver may not have noticed the end of the socket yet.
"""
_FULL = ("disk is full", "no space left", "diskfullerror", "diskfull ")
_MISSING_TABLE = ("no such table", "undefinedtable", "no such column", "undefinedcolumn")


def _in_our_words(error: Exception) -> StoreError | None:
    """Return the error to raise instead, or None for a driver error that is a defect of
    ours.
    """
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = f"{type(cause).__name__} {type(cause.__cause__).__name__} {cause}".lower()
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate == _FOREIGN_KEY_VIOLATION or "foreign key constraint failed" in text:
        return NotFound("this tenant has no such connection, user or group")
    if sqlstate == _UNIQUE_VIOLATION:
        # What we check before inserting was true then: another was faster. The next
        # attempt sees them.
        return DatabaseBusy("somebody wrote the same at the same moment; try again")
    if any(sign in text for sign in _MISSING_TABLE):
        return SchemaOutOfDate(NOT_MIGRATED)
    if any(sign in text for sign in _BUSY):
        return DatabaseBusy("the database is busy: other writers held it for too long; try again")
    if any(sign in text for sign in _FULL):
        return DiskFull("the disk of the database is full: nothing was written; make room")
    if any(sign in text for sign in _WRONG):
        return WrongDatabase(f"the database cannot be used ({_first_line(cause)}): check LEAVER_DATABASE_URL")
    # asyncpg's error for a statement on a connection that the server ended while this
    # process was stopped; SQLAlchemy lets it through.
    is_gone = isinstance(cause, asyncpg.InternalClientError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
    if is_gone or str(sqlstate or "").startswith(_GONE):
        return unreachable(cause)
    return None


def unreachable(cause: BaseException) -> DatabaseUnreachable:
    return DatabaseUnreachable(
        f"the database does not answer ({_first_line(cause)}): check that it runs and that LEAVER_DATABASE_URL names it"
    )


def _first_line(cause: BaseException) -> str:
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]


@contextmanager
def in_our_words() -> Iterator[None]:
    """Raise the errors of the database as `StoreError`s."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, asyncpg.InternalClientError) as error:
        ours = _in_our_words(error)
        if ours is None:
            raise
        raise ours from error


@contextmanager
def while_connecting() -> Iterator[None]:
    """Raise all errors before there is a connection as `StoreError`s.

    asyncpg lets the errors of the socket through.
    """
    try:
        yield
    except (DBAPIError, OSError, OverflowError) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        raise (_in_our_words(error) or unreachable(cause)) from error
    except PoolTimeoutError as error:
        raise DatabaseBusy("all connections of this process to the database are in use; try again") from error
