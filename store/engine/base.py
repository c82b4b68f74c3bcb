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
from msgspec import structs
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection

from store.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    DiskFull,
    InvalidRecord,
    NotFound,
    SchemaOutOfDate,
    StoreError,
    WrongDatabase,
)

T = TypeVar("T")
Work: TypeAlias = Callable[[AsyncConnection], Awaitable[T]]


def to_json(value: Any) -> str:
    """Return a value, with any records in it, as JSON."""
    return orjson.dumps(value, structs.asdict, orjson.OPT_NON_STR_KEYS).decode()


JSON_BY_ORJSON: dict[str, Any] = {
    "json_serializer": to_json,
    "json_deserializer": orjson.loads,
    "hide_parameters": True,  # they are people's data, and errors end up in logs (invariant I9)
}

NOT_MIGRATED = "the database has no or an older schema: run `leaver db upgrade`"

# PostgreSQL, appendix A: error codes, whole or by their class.
_FOREIGN_KEY_VIOLATION = "23503"
_UNIQUE_VIOLATION = "23505"
_MISSING = ("42P01", "42703", "3F000")
"""Undefined table, column, schema."""
_WRONG = ("28", "3D000", "42501", "25006", "58")
"""Authentication, unknown database, missing privilege, read-only, system error."""
_BUSY = ("40", "55P03", "53300")
"""Deadlock or serialization failure, lock not available, too many connections."""
_FULL = ("53100",)
_NOT_KEPT = ("22",)
"""Data exceptions: a value that the type or the encoding cannot hold."""
_GONE = ("08", "57P")
"""Connection exceptions, and a server that shuts down or starts.

The driver may not have noticed the end of the socket yet.
"""
_MISSING_IN_SQLITE = ("no such table:", "no such column:")
_BUSY_SQLITE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_WRONG_SQLITE = (
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM),
)
_WRONG_WHEN_CONNECTING = ("password authentication failed", "does not exist", "no password supplied")
_BUSY_WHEN_CONNECTING = ("remaining connection slots", "too many clients")
"""psycopg has no SQLSTATE before there is a connection, and no client's text either."""


def _in_our_words(error: Exception) -> StoreError | None:
    """Return the error to raise instead, or None for a driver error that is a defect of
    ours.

    Errors are told apart by class and code, never by words: what a client sends may be
    part of a message.
    """
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause)
    if _is_unkept_argument(cause) or _is_unkept_argument(cause.__cause__):
        return _not_kept()
    # asyncpg's error for a statement on a connection that the server ended while this
    # process was stopped; SQLAlchemy lets it through.
    is_gone = isinstance(cause, asyncpg.InternalClientError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
    return _of_sqlstate(str(getattr(cause, "sqlstate", None) or ""), cause) or (
        unreachable(cause) if is_gone else None
    )


def _is_unkept_argument(cause: BaseException | None) -> bool:
    """Whether a driver could not encode a value for its statement.

    asyncpg has no public class for it: an InterfaceError that is a ValueError.
    """
    if isinstance(cause, asyncpg.ClientConfigurationError):
        return False
    return isinstance(cause, UnicodeEncodeError | OverflowError) or (
        isinstance(cause, asyncpg.InterfaceError) and isinstance(cause, ValueError)
    )


def _of_sqlstate(sqlstate: str, cause: BaseException) -> StoreError | None:
    if sqlstate == _FOREIGN_KEY_VIOLATION:
        return NotFound("this tenant has no such connection, user or group")
    if sqlstate == _UNIQUE_VIOLATION:
        # What we check before inserting was true then: another was faster. The next
        # attempt sees them.
        return DatabaseBusy("somebody wrote the same at the same moment; try again")
    if sqlstate.startswith(_MISSING):
        return SchemaOutOfDate(NOT_MIGRATED)
    if sqlstate.startswith(_BUSY):
        return _busy()
    if sqlstate.startswith(_FULL):
        return _full()
    if sqlstate.startswith(_WRONG):
        return _wrong(cause)
    if sqlstate.startswith(_NOT_KEPT):
        return _not_kept()
    return unreachable(cause) if sqlstate.startswith(_GONE) else None


def _of_sqlite(cause: sqlite3.Error) -> StoreError | None:
    extended = getattr(cause, "sqlite_errorcode", 0)
    code = extended & 0xFF  # the low byte of SQLite's extended codes
    if extended == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return NotFound("this tenant has no such connection, user or group")
    if code == sqlite3.SQLITE_FULL:
        return _full()
    if code in _BUSY_SQLITE:
        return _busy()
    if code == sqlite3.SQLITE_READONLY:
        return _read_only()
    if code in _WRONG_SQLITE:
        return _wrong(cause)
    # The code says no more than "error"; no client's text stands at the beginning.
    missing = code == sqlite3.SQLITE_ERROR and str(cause).startswith(_MISSING_IN_SQLITE)
    return SchemaOutOfDate(NOT_MIGRATED) if missing else None


def _busy() -> DatabaseBusy:
    return DatabaseBusy("the database is busy: other writers held it for too long; try again")


def _full() -> DiskFull:
    return DiskFull("the disk of the database is full: nothing was written; make room")


def _read_only() -> WrongDatabase:
    return WrongDatabase(
        "the database is read-only for this user: let the user that runs Leaver write the file and its folder, "
        "or check LEAVER_DATABASE_URL"
    )


def _wrong(cause: BaseException) -> WrongDatabase:
    return WrongDatabase(f"the database cannot be used ({_first_line(cause)}): check LEAVER_DATABASE_URL")


def _not_kept() -> InvalidRecord:
    return InvalidRecord(
        "a value cannot be kept by the database: a number too large, or text that is no Unicode"
    )


def unreachable(cause: BaseException) -> DatabaseUnreachable:
    return DatabaseUnreachable(
        f"the database does not answer ({_first_line(cause)}): check that it runs and that LEAVER_DATABASE_URL names it"
    )


def _first_line(cause: BaseException) -> str:
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]


def _when_connecting(cause: BaseException) -> StoreError:
    text = str(cause)
    if any(words in text for words in _BUSY_WHEN_CONNECTING):
        return _busy()
    return _wrong(cause) if any(words in text for words in _WRONG_WHEN_CONNECTING) else unreachable(cause)


def error_in_our_words(error: Exception) -> StoreError | None:
    """Return the error to raise for a connection that a library opened, or None for a
    defect.

    The job engine opens its own, so that any error may be one of connecting.
    """
    if isinstance(error, OSError):
        return WrongDatabase(
            f"{error.filename or 'a file'} cannot be used ({error.strerror}): check its rights"
        )
    if not isinstance(error, DBAPIError | sqlite3.Error):
        return None
    ours = _in_our_words(error)
    if ours is None and isinstance(error, OperationalError) and not isinstance(error.orig, sqlite3.Error):
        return _when_connecting(error.orig or error)
    return ours


@contextmanager
def in_our_words() -> Iterator[None]:
    """Raise the errors of the database as `StoreError`s."""
    try:
        yield
    except (
        DBAPIError,
        sqlite3.Error,
        asyncpg.InternalClientError,
        asyncpg.InterfaceError,
        UnicodeEncodeError,
        OverflowError,
    ) as error:
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
        ours = None if isinstance(error, OverflowError) else _in_our_words(error)  # a port beyond 65535
        raise (ours or _when_connecting(cause)) from error
    except PoolTimeoutError as error:
        raise DatabaseBusy("all connections of this process to the database are in use; try again") from error
