"""Dates of mapping expressions: .NET formats, differences, Active Directory's numbers.

Dates travel between functions as texts, as in Entra: `CDate` and `DateAdd` give
`M/d/yyyy h:mm:ss tt` in UTC, and every function reads that form and ISO 8601.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

MAX_FORMAT = 100
"""Characters of a date format."""

STYLES = frozenset(
    {
        "",
        "none",
        "allowleadingwhite",
        "allowtrailingwhite",
        "allowinnerwhite",
        "allowwhitespaces",
        "nocurrentdatedefault",
        "adjusttouniversal",
        "assumelocal",
        "assumeuniversal",
        "roundtripkind",
    }
)
"""`DateTimeStyles` of .NET; a style list is separated by commas."""

INTERVALS = ("yyyy", "m", "d", "ww", "h", "n", "s")
"""Year, month, day, week, hour, minute, second."""

_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
"""Active Directory counts steps of 100 ns from here."""

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_STANDARD = {
    "d": "MM/dd/yyyy",
    "D": "dddd, dd MMMM yyyy",
    "t": "HH:mm",
    "T": "HH:mm:ss",
    "g": "MM/dd/yyyy HH:mm",
    "G": "MM/dd/yyyy HH:mm:ss",
    "s": "yyyy-MM-dd'T'HH:mm:ss",
    "u": "yyyy-MM-dd HH:mm:ss'Z'",
    "o": "yyyy-MM-dd'T'HH:mm:ss.fffffffK",
    "O": "yyyy-MM-dd'T'HH:mm:ss.fffffffK",
}
"""Formats of one letter, as .NET's invariant culture writes them."""

_TOKEN = re.compile(
    r"""(?P<quoted>'[^']*'|"[^"]*")|\\(?P<escaped>.)|%(?=[A-Za-z])
        |(?P<part>y{1,5}|M{1,4}|d{1,4}|H{1,2}|h{1,2}|m{1,2}|s{1,2}|f{1,7}|F{1,7}|t{1,2}|z{1,3}|K)
        |(?P<other>[^A-Za-z'"\\%]|[TZ])""",
    re.VERBOSE | re.DOTALL,
)
_READ = {
    "yyyyy": r"(\d{5})", "yyyy": r"(\d{4})", "yyy": r"(\d{3,4})", "yy": r"(\d{2})", "y": r"(\d{1,2})",
    "MMMM": f"({'|'.join(_MONTHS)})", "MMM": f"({'|'.join(m[:3] for m in _MONTHS)})",
    "dddd": f"({'|'.join(_DAYS)})", "ddd": f"({'|'.join(d[:3] for d in _DAYS)})",
    "tt": "(AM|PM)", "t": "(A|P)",
    "zzz": r"([+-]\d{2}:\d{2})", "zz": r"([+-]\d{2})", "z": r"([+-]\d{1,2})", "K": r"(Z|[+-]\d{2}:\d{2}|)",
}  # fmt: skip
_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_AMERICAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?: (\d{1,2}):(\d{2})(?::(\d{2}))?(?: (AM|PM))?)?", re.I)


class DateError(Exception):
    """A date or a format that cannot be read, and why."""


@lru_cache(maxsize=256)
def compile_format(text: str) -> tuple[tuple[str, bool], ...]:
    """Return the parts of a .NET format, each with whether it is a field.

    Raises `DateError`.
    """
    if len(text) > MAX_FORMAT:
        raise DateError(f"the date format is longer than {MAX_FORMAT} characters")
    if len(text) == 1:
        text = _STANDARD.get(text, "")
    parts: list[tuple[str, bool]] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise DateError(f"{text[at:]!r} is not part of a date format")
        if match["part"]:
            parts.append((match["part"], True))
        elif literal := (match["quoted"] or "")[1:-1] or match["escaped"] or match["other"]:
            parts.append((literal, False))
        at = match.end()
    if not parts:
        raise DateError("the date format is empty or not known")
    return tuple(parts)


def read_formatted(text: str, form: str, styles: str = "") -> datetime:
    """Return the date that a text has in a .NET format; raise `DateError`.

    A date without an offset is naive. `AdjustToUniversal` moves one with an offset to
    UTC.
    """
    wanted = {style.strip().lower() for style in styles.split(",")}
    parts = compile_format(form)
    match = _reader(parts).fullmatch(text.strip())
    if match is None:
        raise DateError(f"{text!r:.60} is not a date in the format {form}")
    fields = [part for part, is_field in parts if is_field]
    try:
        found = _from_fields(dict(zip(fields, match.groups(), strict=True)))
        universal = found.tzinfo is not None and "adjusttouniversal" in wanted
        return found.astimezone(UTC) if universal else found
    except (ValueError, OverflowError) as error:
        raise DateError(f"{text!r:.60} is not a date: {error}") from None


@lru_cache(maxsize=256)
def _reader(parts: tuple[tuple[str, bool], ...]) -> re.Pattern[str]:
    patterns = (_pattern(part) if is_field else re.escape(part) for part, is_field in parts)
    return re.compile("".join(patterns), re.IGNORECASE)


def _pattern(part: str) -> str:
    if part in _READ:
        return _READ[part]
    if part[0] == "f":
        return rf"(\d{{{len(part)}}})"
    if part[0] == "F":
        return rf"(\d{{0,{len(part)}}})"
    return r"(\d{1,2})" if len(part) == 1 else r"(\d{2})"


def _from_fields(fields: dict[str, str]) -> datetime:
    year, month, day, hour, minute, second, micro = 1, 1, 1, 0, 0, 0, 0
    afternoon: bool | None = None
    zone: timezone | None = None
    for part, value in fields.items():
        match part[0]:
            case "y":
                year = int(value) + (_century(int(value)) if len(part) < 3 else 0)
            case "M":
                month = _month(value)
            case "d" if len(part) < 3:
                day = int(value)
            case "H" | "h":
                hour = int(value)
            case "m":
                minute = int(value)
            case "s":
                second = int(value)
            case "f" | "F":
                micro = int(value.ljust(7, "0")) // 10
            case "t":
                afternoon = value[0] in "pP"
            case "z" | "K":
                zone = _zone(value)
            case _:  # the name of the day follows from the date
                pass
    if afternoon is not None:
        hour = hour % 12 + 12 * afternoon
    return datetime(year, month, day, hour, minute, second, micro, zone)


def _century(year: int) -> int:
    return 2000 if year < 50 else 1900


def _month(text: str) -> int:
    if text.isdecimal():
        return int(text)
    return next(n for n, name in enumerate(_MONTHS, 1) if name[:3].lower() == text[:3].lower())


def _zone(text: str) -> timezone | None:
    if text in ("", None):
        return None
    if text in "zZ":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return timezone(-offset if text[0] == "-" else offset)


def write_formatted(at: datetime, form: str) -> str:
    """Return a date in a .NET format; raise `DateError`."""
    return "".join(_field(at, part) if is_field else part for part, is_field in compile_format(form))


def _field(at: datetime, part: str) -> str:
    size = len(part)
    match part[0]:
        case "y":
            return f"{at.year:0{size}d}" if size > 2 else f"{at.year % 100:0{size}d}"
        case "M":
            return f"{at.month:0{size}d}" if size < 3 else _MONTHS[at.month - 1][: 3 if size == 3 else None]
        case "d":
            return f"{at.day:0{size}d}" if size < 3 else _DAYS[at.weekday()][: 3 if size == 3 else None]
        case "H":
            return f"{at.hour:0{size}d}"
        case "h":
            return f"{at.hour % 12 or 12:0{size}d}"
        case "m":
            return f"{at.minute:0{size}d}"
        case "s":
            return f"{at.second:0{size}d}"
        case "f":
            return f"{at.microsecond:06d}0"[:size]
        case "F":
            return f"{at.microsecond:06d}0"[:size].rstrip("0")
        case "t":
            return ("PM" if at.hour >= 12 else "AM")[:size]
        case _:
            return _offset(at, part)


def _offset(at: datetime, part: str) -> str:
    offset = at.utcoffset()
    if part == "K" and offset is None:
        return ""
    if part == "K" and at.tzinfo is UTC:
        return "Z"
    minutes = int((offset or timedelta()).total_seconds()) // 60
    sign, minutes = ("-" if minutes < 0 else "+"), abs(minutes)
    if part in ("K", "zzz"):
        return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{sign}{minutes // 60:0{len(part)}d}"


def read_date(text: str) -> datetime:
    """Return the UTC date of an ISO 8601 or `M/d/yyyy h:mm:ss tt` text.

    A text without an offset is UTC. Raises `DateError`.
    """
    text = text.strip()
    try:
        if found := _ISO.fullmatch(text):
            year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
            micro = int((found[7] or "").ljust(7, "0")) // 10
            zone = _zone((found[8] or "Z").upper())
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
