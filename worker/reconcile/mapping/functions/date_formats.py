"""Dates in the formats of .NET: read and write them."""

from __future__ import annotations

import re
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
                zone = read_zone(value)
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


def read_zone(text: str) -> timezone | None:
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
