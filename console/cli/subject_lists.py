"""Read the subjects of `leaver provision`: words, a file, or standard input.

A line may be one of a CSV file: its first column counts. Every line is checked before
anything is done.
"""

from __future__ import annotations

import codecs
import csv
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from console.errors import WrongUse

STANDARD_INPUT = "-"
MOST_SUBJECTS = 10_000
MOST_CHARACTERS = 256
"""A displayName of Entra holds that many, a userPrincipalName 113."""

# Headings of the files that Entra's "Bulk operations" export and take.
_HEADINGS = frozenset(
    {
        *("userprincipalname", "user principal name", "upn", "username", "user name", "mail", "email"),
        *("e-mail", "id", "objectid", "object id", "displayname", "display name", "subject"),
    }
)
_BULK_HEADING = re.compile(r"version:v[\d.]+|.*\[\w+\](?: required| optional)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RefusedLine:
    number: int
    """Counted from 1, as editors do."""
    why: str


@dataclass(frozen=True, slots=True)
class SubjectList:
    """What was asked for, in its order, each once."""

    subjects: tuple[str, ...]
    refused: tuple[RefusedLine, ...] = ()
    repeated: int = 0


def typed(words: Sequence[str]) -> SubjectList:
    """Read words of the command line.

    Raises `WrongUse` for one that cannot be meant.
    """
    for word in words:
        if why := _why_not(word.strip()):
            what = f"SUBJECT {word[:40]!r}"
            raise WrongUse(what, why, "Give a UPN, an object id, an e-mail or the name of a group")
    return _once(word.strip() for word in words)


def listed(source: str) -> SubjectList:
    """Read a file, or standard input (`-`).

    Raises `WrongUse` where it cannot be read or names no subject.
    """
    lines = _text(source).splitlines()
    found, refused = [], []
    for number, entry in _entries(lines):
        why = entry.why if isinstance(entry, _Unreadable) else _why_not(entry)
        if why:
            refused.append(RefusedLine(number, why))
        elif isinstance(entry, str):
            found.append(entry)
    asked = _once(found)
    if not asked.subjects and not refused:
        raise WrongUse(
            f"--file {source}", "it names nobody", "Write one user or group a line; # begins a comment"
        )
    if len(asked.subjects) > MOST_SUBJECTS:
        why = f"it names {len(asked.subjects)}, and {MOST_SUBJECTS} is the most in one go"
        raise WrongUse(
            f"--file {source}", why, "Cut it into parts, or look at everybody: leaver sync CONNECTION"
        )
    return SubjectList(asked.subjects, tuple(refused), asked.repeated)


def listed_pairs(source: str) -> list[tuple[str, str | None]]:
    """Read pairs of people, one a line, from a file or from standard input (`-`).

    Raises `WrongUse` for the first line that is no pair: nothing is done then.
    """
    lines = [(n, line) for n, line in enumerate(_text(source).splitlines(), 1) if line.strip()]
    lines = [(n, line) for n, line in lines if line.strip()[0] != "#"]
    delimiter = _delimiter(lines[0][1]) if lines else ","
    found: list[tuple[str, str | None]] = []
    for number, line in lines:
        columns = [column.strip() for column in line.split(delimiter)]
        one, other, *more = *columns, *[""] * (2 - len(columns))
        why = "it has more than two columns" if any(more) else _why_not(one) or (other and _why_not(other))
        if why:
            raise WrongUse(f"--file {source}, line {number}", str(why), "Write USER,OTHER; nothing was done")
        found.append((one, other or None))
    if not found:
        raise WrongUse(f"--file {source}", "it names nobody", "Write USER,OTHER, one pair a line")
    if len(found) > MOST_SUBJECTS:
        why = f"it has {len(found)} pairs, and {MOST_SUBJECTS} is the most in one go"
        raise WrongUse(f"--file {source}", why, "Cut it into parts; nothing was done")
    return found


@dataclass(frozen=True, slots=True)
class _Unreadable:
    why: str


def _text(source: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if source == STANDARD_INPUT else Path(source).read_bytes()
    except OSError as error:
        why = f"the file cannot be read ({error.strerror})"
        raise WrongUse(f"--file {source}", why, "Check path and permissions") from None
    is_wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # PowerShell's `>` writes UTF-16
    try:
        return raw.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        why = f"line {line} is not UTF-8 text"
        raise WrongUse(f"--file {source}", why, "Save the file as UTF-8; nothing was done") from None


def _entries(lines: Sequence[str]) -> Iterator[tuple[int, str | _Unreadable]]:
    """Yield the first column of every line.

    Blank lines, comments, and headings at the top are skipped.
    """
    numbered = [(n, line) for n, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"]
    delimiter = _delimiter(numbered[0][1]) if numbered else ","
    is_top = True
    for number, line in numbered:
        entry = _first_column(line, delimiter)
        is_top = is_top and isinstance(entry, str) and _is_heading(entry)
        if not is_top:
            yield number, entry


def _delimiter(line: str) -> str:
    """Return the separator of columns: Excel and Entra choose it by locale."""
    return next((mark for mark in "\t;" if mark in line), ",")


def _first_column(line: str, delimiter: str) -> str | _Unreadable:
    try:
        [columns] = csv.reader([line.strip()], delimiter=delimiter, skipinitialspace=True, strict=True)
    except csv.Error as error:
        return _Unreadable(f"this is not CSV ({error}); put a name with quotes inside in quotes, doubled")
    return columns[0].strip() if columns else ""


def _is_heading(entry: str) -> bool:
    return entry.lower() in _HEADINGS or _BULK_HEADING.fullmatch(entry) is not None


def _why_not(entry: str) -> str | None:
    """Return why this names no user or group; None where it may name one."""
    if not entry:
        return "there is nothing in it"
    if len(entry) > MOST_CHARACTERS:
        return f"it has {len(entry)} characters, more than any name in Entra"
    if not entry.isprintable() or "\ufffd" in entry:
        return "it has characters that no name has (is the file text?)"
    before, at, after = entry.partition("@")
    if at and (not before or not after or any(letter.isspace() for letter in entry)):
        return "this is not an address; wanted is name@domain"
    return None


def _once(entries: Iterable[str]) -> SubjectList:
    kept: dict[str, str] = {}
    repeated = 0
    for entry in entries:
        repeated += entry.casefold() in kept
        kept.setdefault(entry.casefold(), entry)
    return SubjectList(tuple(kept.values()), repeated=repeated)
