"""Print results: text or one JSON document on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from config.visible_text import visible, visible_lines
from console.errors import CommandError
from console.streams import is_utf8
from store.records import JsonValue

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

PIPE_WIDTH = 160
"""Columns when stdout is a file or a pipe: wide enough that names and ids stay on one
line."""


@dataclass(frozen=True, slots=True)
class View:
    """A result for both readers: `document` for a program, `text` for a person."""

    document: JsonValue
    text: Callable[[], RenderableType]


MOST_LINES = 200
"""Lines of one view, unless all are asked for: what is longer scrolls away unread."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """A text cut after so many lines, with a last line that says how to see the
    rest.
    """

    text: RenderableType
    more: str
    most_lines: int = MOST_LINES
    left_out: int = 0
    """Rows that the text does not have at all, since they would be cut."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment
        from rich.text import Text

        lines = list(Segment.split_lines(console.render(self.text, options)))
        # One line is left for the remark.
        is_cut = len(lines) > self.most_lines or self.left_out > 0
        for line in lines[: self.most_lines - 1] if is_cut else lines:
            yield from line
            yield Segment.line()
        if is_cut:
            cut = max(len(lines) - self.most_lines + 1, 0) + self.left_out
            yield Text(f"… {cut:,} more lines. {self.more}", no_wrap=True)


def show(view: View, *, as_json: bool) -> None:
    """Print a view: with `as_json` exactly one JSON document, else text."""
    if as_json:
        sys.stdout.write(json_text(view.document))
    elif sys.stdout.isatty():
        from console.rendering.layout import VisibleConsole

        _print(VisibleConsole(highlight=False), view.text())
    else:
        _print(_plain_console(), view.text())


def json_text(document: JsonValue) -> str:
    """Return a JSON document as it is printed."""
    return visible_lines(json.dumps(document, indent=2, ensure_ascii=not is_utf8(sys.stdout))) + "\n"


def write(text: str, file: Path | None) -> None:
    """Write what was exported to a file, or to stdout. Raises `CommandError`."""
    if file is None:
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        why = error.strerror or str(error)
        raise CommandError(f"cannot write {file}", why, "Choose another file with --output") from error


def plain(text: RenderableType) -> str:
    """Return text for a pipe or a file: wide, no colours, no spaces at line ends."""
    console = _plain_console()
    with console.capture() as captured:
        _print(console, text)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _plain_console() -> Console:
    from console.rendering.layout import VisibleConsole

    width = None if "COLUMNS" in os.environ else PIPE_WIDTH
    return VisibleConsole(width=width, highlight=False, color_system=None)


LINES_AT_ONCE = 500


def _print(console: Console, text: RenderableType) -> None:
    """Print part by part, so that the first lines of many need not wait for the last.

    A word that is longer than the line is not cut.
    """
    from rich.console import Group

    from console.rendering.layout import Listing

    if isinstance(text, Group):
        for part in text.renderables:
            _print(console, part)
    elif isinstance(text, Listing):
        lines = text.lines(console.width)
        while some := list(islice(lines, LINES_AT_ONCE)):
            console.print(*some, sep="\n", crop=False)
    else:
        console.print(text, crop=False)


def stderr() -> Console:
    """Return the console for progress and remarks, which are no part of the result."""
    from console.rendering.layout import VisibleConsole

    return VisibleConsole(stderr=True, highlight=False)


def complain(line: str) -> None:
    """Write the one line of a failed command, or a remark, to stderr."""
    sys.stderr.write(f"leaver: {visible(line)}\n")
