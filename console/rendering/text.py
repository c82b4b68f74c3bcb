"""Tables, facts and status words: one place, so that every command looks alike. And CSV
for any spreadsheet: one column a fact, nothing that a spreadsheet would run.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from rich.text import Text

from config.visible_text import visible, visible_lines
from console.rendering.layout import QUIET as QUIET
from console.rendering.layout import Facts, Hanging, Listing
from store.records import JsonValue

GOOD, BAD, CARE = "green", "bold red", "yellow"

STATUS_STYLES: Mapping[str, str] = {
    **dict.fromkeys(
        ("success", "applied", "created", "enabled", "repaired", "ok", "active", "approved"), GOOD
    ),
    **dict.fromkeys(("failure", "failed", "revoked", "quarantined", "rejected", "expired"), BAD),
    **dict.fromkeys(("warning", "held", "incomplete", "paused", "open", "suspended", "skipped"), CARE),
    **dict.fromkeys(("unchanged", "resolved", "superseded", "reported"), QUIET),
}


def table(*columns: str, rows: Iterable[Sequence[Text | str | None]]) -> Listing:
    """Return rows under names; None is an empty cell, and strings are taken
    literally.
    """
    return Listing(columns, [[_cell(cell) for cell in row] for row in rows])


def facts(pairs: Iterable[tuple[str, Text | str | None]], indent: int = 2) -> Facts:
    """Return names and values, one pair a line; pairs without a value are left out."""
    return Facts([(name, _cell(value)) for name, value in pairs if value not in (None, "")], indent)


def hanging(first: Text | str, body: Text | str, style: str = "") -> Hanging:
    """Return a text whose further lines begin below its first word."""
    return Hanging(_cell(first), _cell(body, style))


def status(word: str) -> Text:
    """Return a status word in its colour."""
    return Text(word, style=STATUS_STYLES.get(word, ""))


def words(value: JsonValue) -> str:
    """Return a value as people write it: true or false, lists and parts in words; empty
    for none.
    """
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(words, value))
        case dict():
            return "; ".join(f"{name}: {words(each)}" for name, each in value.items())
        case _:
            return str(value)


def brief(value: JsonValue, limit: int = 60) -> str:
    """Return an attribute's value as people write it, cut to `limit` characters."""
    if value is None or value == "":
        return "(empty)"
    text = visible(words(value))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _cell(value: Text | str | None, style: str = "") -> Text:
    if value is None:
        return Text("")
    return Text(visible_lines(value), style=style) if isinstance(value, str) else value


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows under the names of their columns (RFC 4180)."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")  # RFC 4180 §2
    writer.writerow(columns)
    writer.writerows([_spreadsheet_safe(visible(cell)) for cell in cells] for cells in rows)
    return buffer.getvalue()


def _spreadsheet_safe(cell: str) -> str:
    """Quote a cell that a spreadsheet would run as a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
