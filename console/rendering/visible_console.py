"""A console that shows control characters, and breaks lines between words alone."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.text import Text

from config.visible_text import visible_lines
from console.rendering.layout import wrapped


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
