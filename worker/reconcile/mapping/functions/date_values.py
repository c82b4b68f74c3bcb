"""Dates of mapping expressions: read, move and compare them.

Dates travel between functions as texts, as in Entra: `CDate` and `DateAdd` give
`M/d/yyyy h:mm:ss tt` in UTC, and every function reads that form and ISO 8601.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta

from worker.reconcile.mapping.functions.date_formats import DateError, read_zone, write_formatted

INTERVALS = ("yyyy", "m", "d", "ww", "h", "n", "s")
"""Year, month, day, week, hour, minute, second."""

_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
"""Active Directory counts steps of 100 ns from here."""

_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_AMERICAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?: (\d{1,2}):(\d{2})(?::(\d{2}))?(?: (AM|PM))?)?", re.I)


def read_date(text: str) -> datetime:
    """Return the UTC date of an ISO 8601 or `M/d/yyyy h:mm:ss tt` text.

    A text without an offset is UTC. Raises `DateError`.
    """
    text = text.strip()
    try:
        if found := _ISO.fullmatch(text):
            year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
            micro = int((found[7] or "").ljust(7, "0")) // 10
            zone = read_zone((found[8] or "Z").upper())
            return datetime(year, month, day, hour, minute, second, micro, zone).astimezone(UTC)
        if found := _AMERICAN.fullmatch(text):
            month, day, year, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
            if found[7]:
                hour = hour % 12 + 12 * (found[7].upper() == "PM")
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise DateError(f"{text!r:.60} is not a date: {error}") from None
    raise DateError(f"{text!r:.60} is not a date in ISO 8601 or as M/d/yyyy h:mm:ss tt")


def write_date(at: datetime) -> str:
    """Return a date as Entra's date functions write it: `3/16/2020 7:00:00 AM`."""
    return write_formatted(at, "M/d/yyyy h:mm:ss tt")


def add_interval(interval: str, value: int, at: datetime) -> datetime:
    """Return a date moved by a number of intervals; raise `DateError`.

    The 31st becomes the last day of a shorter month.
    """
    try:
        if interval in ("yyyy", "m"):
            months = at.year * 12 + at.month - 1 + value * (12 if interval == "yyyy" else 1)
            year, month = months // 12, months % 12 + 1
            return at.replace(year=year, month=month, day=min(at.day, monthrange(year, month)[1]))
        units = {"d": "days", "ww": "weeks", "h": "hours", "n": "minutes", "s": "seconds"}
        return at + timedelta(**{units[interval]: value})
    except (ValueError, OverflowError, IndexError):
        raise DateError(f"{value} {interval} from {write_date(at)} is not in the years 1 to 9999") from None


def difference(interval: str, first: datetime, second: datetime) -> int:
    """Return how many intervals lie between two dates.

    The number is negative where the second date is the earlier one.
    Years, months and weeks (from Sunday) are those of the calendar; days and shorter
    intervals are whole ones.
    """
    if interval == "yyyy":
        return second.year - first.year
    if interval == "m":
        return (second.year - first.year) * 12 + second.month - first.month
    if interval == "ww":
        return (_sunday(second) - _sunday(first)) // 7
    seconds = {"d": 86400, "h": 3600, "n": 60, "s": 1}[interval]
    return int((second - first).total_seconds() / seconds)


def _sunday(at: datetime) -> int:
    return at.toordinal() - at.isoweekday() % 7


def to_directory_number(at: datetime) -> int:
    """Return a date as Active Directory keeps it: steps of 100 ns since 1601."""
    since = at - _EPOCH
    return (since.days * 86400 + since.seconds) * 10_000_000 + since.microseconds * 10


def from_directory_number(number: int) -> datetime:
    """Return the date of Active Directory's number; raise `DateError`."""
    try:
        return _EPOCH + timedelta(microseconds=number // 10)
    except OverflowError:
        raise DateError(f"{number} is not a date") from None
