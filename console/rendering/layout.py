"""Rows, facts and remarks at any width: no word and no id is ever broken in two.

A row that does not fit beside the names of its columns becomes a few lines of its own.
A word longer than the line stays whole: a terminal shows it on two lines and copies it
as one. Control characters are shown and do nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from config.visible_text import visible_lines

COMFORTABLE = 24
"""Columns below which a sentence in a table reads as a list of words."""

SMALLEST = 20
"""Columns that a text keeps beside its indent, however narrow the terminal."""

QUIET = "bright_black"

_WORDS = re.compile(r"^\s*\S+\s*|\S+\s*")


@dataclass(slots=True)
class Listing:
    """Rows under the names of their columns; one below the other where it is narrow."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Text]]
    caption: str | None = None
    """A line after the rows."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)

    def lines(self, width: int) -> Iterator[Text]:
        """Yield the lines one by one, each of which is printed as it is."""
        yield from self._rows(width)
        if self.caption:
            yield from wrapped(Text(self.caption, style="italic"), width)

    def _rows(self, width: int) -> Iterator[Text]:
        number = len(self.columns)
        for gap in (3, 2):
            if widths := self._widths(width - gap * (number - 1)):
                yield from self._table(widths, gap)
                return
        for row in self.rows:
            yield from self._stacked(row, width)

    def _table(self, widths: Sequence[int], gap: int) -> Iterator[Text]:
        yield from _row([Text(name, style="bold") for name in self.columns], widths, gap)
        yield _as_it_is(Text("─" * (sum(widths) + gap * (len(widths) - 1)), style=QUIET))
        for row in self.rows:
            yield from _row(row, widths, gap)

    def _widths(self, available: int) -> list[int] | None:
        """Return the width of each column; None where a word would be broken."""
        every = list(zip(*([Text(name) for name in self.columns], *self.rows), strict=True))
        widths = [max(map(_widest_line, cells)) for cells in every]
        fewest = [
            max(min(natural, COMFORTABLE), *map(_longest_word, cells))
            for natural, cells in zip(widths, every, strict=True)
        ]
        if sum(fewest) > available:
            return None
        while sum(widths) > available:
            spare = [natural - least for natural, least in zip(widths, fewest, strict=True)]
            widths[spare.index(max(spare))] -= 1
        return widths

    def _stacked(self, row: Sequence[Text], width: int) -> Iterator[Text]:
        """Yield a row as lines: the first cell, then the others with their names."""
        yield from wrapped(row[0], width)
        line = Text()
        for name, cell in zip(self.columns[1:], row[1:], strict=True):
            if not cell.plain:
                continue
            part = Text.assemble((f"{name} ", QUIET), cell)
            if line.plain and cell_len(f"  {line.plain}   {part.plain}") > width:
                yield from Hanging(Text("  "), line, indent=4).lines(width)
                line = Text()
            line = Text.assemble(line, "   ", part) if line.plain else part
        if line.plain:
            yield from Hanging(Text("  "), line, indent=4).lines(width)


def _row(cells: Sequence[Text], widths: Sequence[int], gap: int) -> Iterator[Text]:
    """Yield a row of a table; a cell that does not fit goes on in the next line."""
    columns = [whole_words(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for number in range(max(map(len, columns))):
        line = Text()
        for lines, width in zip(columns, widths, strict=True):
            cell = lines[number] if number < len(lines) else Text()
            line.append_text(cell).append(" " * (width - cell_len(cell.plain) + gap))
        line.rstrip()
        yield _as_it_is(line)


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, one pair a line; a long value begins below its name."""

    pairs: Sequence[tuple[str, Text]]
    indent: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.pairs:
            return
        names = max(cell_len(name) for name, _ in self.pairs)
        for name, value in self.pairs:
            at = self.indent + names + 2
            first = Text.assemble(" " * self.indent, (f"{name:<{names}}", QUIET), "  ")
            if at + _longest_word(value) > options.max_width:
                yield Text.assemble(" " * self.indent, (name, QUIET))
                first, at = Text(" " * (self.indent + 2)), self.indent + 2
            yield from Hanging(first, value, indent=at).lines(options.max_width)


@dataclass(frozen=True, slots=True)
class Hanging:
    """A text after a mark or a name; its further lines begin below its first word."""

    first: Text
    body: Text
    indent: int | None = None
    """Where further lines begin; None: below the first word of the body."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)

    def lines(self, width: int) -> Iterator[Text]:
        """Yield the lines, each of which is printed as it is."""
        indent = cell_len(self.first.plain) if self.indent is None else self.indent
        begin = self.first
        for line in whole_words(self.body, max(width - indent, SMALLEST)):
            yield _as_it_is(Text.assemble(begin, line))
            begin = Text(" " * indent)


def wrapped(text: Text, width: int) -> Iterator[Text]:
    """Yield a text in lines that are printed as they are."""
    for line in whole_words(text, max(width, SMALLEST)):
        yield _as_it_is(line.copy())


def whole_words(text: Text, width: int) -> Sequence[Text]:
    """Return a text in lines of whole words; a longer word is a line of its own."""
    if "\n" not in text.plain and cell_len(text.plain) <= width:
        return [text]
    lines: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        lines += line.divide(_breaks(line.plain, width))
    for line in lines:
        line.rstrip()
    return lines


def _breaks(plain: str, width: int) -> Iterator[int]:
    """Yield where a line ends because the next word does not fit."""
    used = 0
    for word in _WORDS.finditer(plain):
        if used and used + cell_len(word.group().rstrip()) > width:
            yield word.start()
            used = 0
        used += cell_len(word.group())


def _as_it_is(line: Text) -> Text:
    line.no_wrap, line.overflow = True, "ignore"
    return line


def _widest_line(text: Text) -> int:
    return max(map(cell_len, text.plain.split("\n")))


def _longest_word(text: Text) -> int:
    return max(map(cell_len, text.plain.split()), default=0)


def _is_wrapped(text: Text, options: ConsoleOptions) -> bool:
    return text.end == "\n" and not text.no_wrap and not options.no_wrap


class VisibleConsole(Console):
    """Names come from a directory: none may move the cursor or turn a line around."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        options = options or self.options
        if isinstance(renderable, Text) and _is_wrapped(renderable, options):
            renderable = Group(*wrapped(renderable, options.max_width))
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(visible_lines(segment.text), segment.style)
