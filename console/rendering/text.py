"""Tables, facts and status words: one place, so that every command looks alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from config.visible_text import visible
from store.records import JsonValue

GOOD, BAD, CARE, QUIET = "green", "bold red", "yellow", "bright_black"

STATUS_STYLES: Mapping[str, str] = {
    **dict.fromkeys(
        ("success", "applied", "created", "enabled", "repaired", "ok", "active", "approved"), GOOD
    ),
    **dict.fromkeys(("failure", "failed", "revoked", "quarantined", "rejected", "expired"), BAD),
    **dict.fromkeys(("warning", "held", "incomplete", "paused", "open", "suspended", "skipped"), CARE),
    **dict.fromkeys(("unchanged", "resolved", "superseded", "reported"), QUIET),
}


def table(*columns: str, rows: Iterable[Sequence[RenderableType | None]], title: str | None = None) -> Table:
    """Return a plain table; None is an empty cell, and strings are taken literally."""
    grid = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(_cell(cell) for cell in row))
    return grid


def facts(pairs: Iterable[tuple[str, RenderableType | None]]) -> RenderableType:
    """Return names and values, one pair a line; pairs without a value are left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=QUIET, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, ""):
            grid.add_row(name, _cell(value))
    return Padding(grid, (0, 0, 0, 2))


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


def _cell(value: RenderableType | None) -> RenderableType:
    if value is None:
        return ""
    return escape(visible(value)) if isinstance(value, str) else value
