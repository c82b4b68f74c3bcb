"""Print results: text or one JSON document on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.visible_text import visible, visible_lines
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

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment
        from rich.text import Text

        lines = console.render_lines(self.text, options, pad=False)
        # One line is left for the remark.
        is_cut = len(lines) > self.most_lines
        for line in lines[: self.most_lines - 1] if is_cut else lines:
            yield from line
            yield Segment.line()
        if is_cut:
            yield Text(f"… {len(lines) - self.most_lines + 1:,} more lines. {self.more}", no_wrap=True)


def show(view: View, *, as_json: bool) -> None:
    """Print a view: with `as_json` exactly one JSON document, else text."""
    if as_json:
        sys.stdout.write(visible_lines(json.dumps(view.document, indent=2, ensure_ascii=False)) + "\n")
    elif sys.stdout.isatty():
        from console.rendering.visible_console import VisibleConsole

        VisibleConsole(highlight=False).print(view.text())
    else:
        sys.stdout.write(plain(view.text()))


def plain(text: RenderableType) -> str:
    """Return text for a pipe or a file: wide, no colours, no spaces at line ends."""
    from console.rendering.visible_console import VisibleConsole

    width = None if "COLUMNS" in os.environ else PIPE_WIDTH
    console = VisibleConsole(width=width, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(text)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def stderr() -> Console:
    """Return the console for progress and remarks, which are no part of the result."""
    from console.rendering.visible_console import VisibleConsole

    return VisibleConsole(stderr=True, highlight=False)


def complain(line: str) -> None:
    """Write the one line of a failed command, or a remark, to stderr."""
    sys.stderr.write(f"leaver: {visible(line)}\n")
