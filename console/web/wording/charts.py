"""Pictures as SVG: the geometry only, drawn by a macro, in the colour of the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, BOTTOM = 600, 120, 34, 18


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """A value at a place of the picture, with its words."""

    label: str
    value: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class TrendChart:
    """A line over time; `top` is the value of the upper edge."""

    points: Sequence[TrendPoint]
    top: int
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def line(self) -> str:
        """Return the points of the line."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)


def trend(values: Sequence[tuple[str, int]]) -> TrendChart | None:
    """Return the chart of values in their order; None for fewer than two."""
    if len(values) < 2:
        return None
    top = max(1, *(value for _, value in values))
    step = (WIDTH - LEFT - 8) / (len(values) - 1)
    tall = HEIGHT - BOTTOM - 8
    points = [
        TrendPoint(label, value, LEFT + number * step, 8 + tall * (1 - value / top))
        for number, (label, value) in enumerate(values)
    ]
    return TrendChart(points, top)
