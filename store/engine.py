"""What both databases share: the unit of writing, JSON by orjson, and driver errors put into our words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import orjson
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from store.errors import DatabaseBusy, DatabaseUnreachable, SchemaOutOfDate, StoreError, WrongDatabase

T = TypeVar("T")
Work: TypeAlias = Callable[[AsyncConnection], Awaitable[T]]


def to_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


JSON_BY_ORJSON: dict[str, Any] = {"json_serializer": to_json, "json_deserializer": orjson.loads}

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
_MISSING_TABLE = ("no such table", "undefinedtable", "no such column", "undefinedcolumn")


def _in_our_words(error: DBAPIError | OSError) -> StoreError | None:
    """Gives the error to raise instead; None where the driver's own is a defect of ours and should be seen whole."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    text = f"{type(cause).__name__} {type(getattr(cause, '__cause__', None)).__name__} {cause}".lower()
    if any(sign in text for sign in _MISSING_TABLE):
        return SchemaOutOfDate(NOT_MIGRATED)
    if any(sign in text for sign in _BUSY):
        return DatabaseBusy("the database is busy: other writers held it for too long; try again")
    if any(sign in text for sign in _WRONG):
        return WrongDatabase(
            f"the database cannot be used ({str(cause).splitlines()[0]}): check LEAVER_DATABASE_URL"
        )
    lost = isinstance(error, OSError) or error.connection_invalidated
    if lost or (isinstance(error, OperationalError) and "connect" in text):
        return DatabaseUnreachable(
            "the database does not answer: check that it runs and that LEAVER_DATABASE_URL names it"
        )
    return None


@contextmanager
def in_our_words() -> Iterator[None]:
    """Turns driver errors into `StoreError`s."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        ours = _in_our_words(error)
        if ours is None:
            raise
        raise ours from error
