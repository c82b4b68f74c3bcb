"""A line chart as SVG, both axes logarithmic: no library, some kilobytes, readable on light and dark ground."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 28, 34, 66
INK, GRID = "#6b7280", "#9ca3af55"
COLOURS = ("#2563eb", "#ea580c", "#0d9488", "#9333ea")
DASHES = ("", "6 3", "2 3", "8 3 2 3")
"""Lines differ in more than their colour."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to a stretch of the picture by their logarithms."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> Iterator[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        steps = (1,) if last - first > 2 else (1, 2, 5)
        for value in (step * 10.0**power for power in range(first, last + 1) for step in steps):
            if self.low * 0.999 <= value <= self.high * 1.001:
                yield value


def chart(title: str, across: str, lines: Mapping[str, Sequence[Point]]) -> str:
    """Returns the picture; each line is a list of (size, cost)."""
    points = [point for line in lines.values() for point in line]
    x = _scale([size for size, _ in points], LEFT, WIDTH - RIGHT)
    y = _scale([cost for _, cost in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="11" fill="{INK}"><title>{escape(title)}</title>',
        f'<text x="{LEFT}" y="18" font-size="13" font-weight="600">{escape(title)}</text>',
        *(
            _tick(LEFT, y.at(v), WIDTH - RIGHT, y.at(v), _text(LEFT - 6, y.at(v) + 4, v, "end"))
            for v in y.ticks()
        ),
        *(
            _tick(x.at(v), TOP, x.at(v), HEIGHT - BOTTOM, _text(x.at(v), HEIGHT - 50, v, "middle"))
            for v in x.ticks()
        ),
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 36}" text-anchor="end">{escape(across)}</text>',
        *(_line(number, name, line, x, y) for number, (name, line) in enumerate(lines.items())),
    ]
    return "\n".join([*parts, "</svg>\n"])


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    low, high = min(values), max(values)
    steps = [step * 10.0**power for power in range(-3, 9) for step in (1, 2, 5)]
    return Scale(
        max(s for s in steps if s <= low * 1.0001), min(s for s in steps if s > high * 0.9999), start, end
    )


def _tick(x1: float, y1: float, x2: float, y2: float, label: str) -> str:
    return f'<path d="M{x1} {y1}L{x2} {y2}" stroke="{GRID}"/>{label}'


def _text(x: float, y: float, value: float, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{value:,.12g}</text>'


def _line(number: int, name: str, line: Sequence[Point], x: Scale, y: Scale) -> str:
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
    places = [(x.at(size), y.at(cost)) for size, cost in line]
    path = "M" + "L".join(f"{left} {top}" for left, top in places)
    dots = "".join(f'<circle cx="{left}" cy="{top}" r="2.5"/>' for left, top in places)
    left, top = LEFT + (number % 2) * 200, HEIGHT - 20 + (number // 2) * 14
    stroke = f'stroke="{colour}" stroke-width="2" fill="none" stroke-dasharray="{dash}"'
    key = f'<path d="M{left} {top - 4}h22" {stroke}/><text x="{left + 28}" y="{top}">{escape(name)}</text>'
    return f'<path d="{path}" {stroke}/><g fill="{colour}">{dots}</g>{key}'
