"""Text of others as it is shown: no control character reaches a terminal, a log or a
spreadsheet, and an exception is told without the values it quotes.
"""

from __future__ import annotations

import re
import traceback
from types import TracebackType
from typing import Any, TextIO
from unicodedata import category

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # part of the spelling in Persian, Hindi and emoji

# What quotes a value: 'x', "x", `Key (user_name_key)=(x)`, and the lines after the
# first, such as PostgreSQL's DETAIL.
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|=\(.*?\)|=\S+")
_LONGEST_MESSAGE = 500

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


def visible(text: str) -> str:
    r"""Return a text with control, bidi and other invisible characters as `\u202e`."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if category(character) not in _HIDDEN or character in _JOINERS:
        return character
    # As JSON and Java write it, so that escaped JSON stays the same JSON.
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def visible_lines(text: str) -> str:
    """Return a text of several lines with each of them made visible."""
    return "\n".join(map(visible, text.split("\n")))


def visible_value(value: Any) -> Any:
    """Return a JSON value with all its texts and keys made visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible_value(key): visible_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [visible_value(item) for item in value]
    return value


def exception_text(exc_info: ExcInfo) -> str:
    """Return a traceback whose messages do not repeat values (invariant I9)."""
    told = traceback.TracebackException(*exc_info) if exc_info[0] is not None else None  # type: ignore[arg-type]
    return "" if told is None else "\n".join(_lines(told, set()))


def write_exception(out: TextIO, exc_info: ExcInfo) -> None:
    """Write `exception_text` as structlog's console renderer wants it."""
    out.write("\n" + exception_text(exc_info))


def _lines(told: traceback.TracebackException, seen: set[int]) -> list[str]:
    seen.add(id(told))
    lines: list[str] = []
    before = told.__cause__ or (None if told.__suppress_context__ else told.__context__)
    if before is not None and id(before) not in seen:
        lines += [*_lines(before, seen), "", "which led to:", ""]
    lines += ["Traceback (most recent call last):"]
    lines += [line for frame in told.stack.format() for line in frame.rstrip().splitlines()]
    [*_, summary] = [line for line in told.format_exception_only() if not line.startswith(" ")] or [""]
    return [*lines, message_of(summary)]


def message_of(message: str) -> str:
    """Return the first line of an error's message, with what it quotes left out."""
    first = next(iter(message.splitlines()), "")[:_LONGEST_MESSAGE]
    return visible(_QUOTED.sub("'…'", first))
