"""A chart's content, whatever draws it: the page draws it as SVG, ``figures`` as PNG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import numpy as np


@dataclass(frozen=True)
class Series:
    """One line: its name and its points, from left to right."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Panel:
    """Lines over the same axis.

    Attributes:
        title: what is drawn, with its unit.
        x_label: what the horizontal axis counts; its values are whole numbers.
        series: at least one, each with a point or more.
        top: upper end of the vertical axis, which begins at 0; None for the largest value.
        mark: a point worth a ring, ``(x, y)``.
        remark: what the title adds in words, for example about that point.
    """

    title: str
    x_label: str
    series: tuple[Series, ...]
    top: float | None = None
    mark: tuple[float, float] | None = None
    remark: str = ""

    @property
    def caption(self) -> str:
        """The title with the remark."""
        return f"{self.title}: {self.remark}" if self.remark else self.title

    @property
    def x_range(self) -> tuple[float, float]:
        """Ends of the horizontal axis; a single point stands in the middle."""
        values = [value for series in self.series for value in series.x]
        low, high = min(values), max(values)
        return (low, high) if high > low else (low - 0.5, low + 0.5)

    @property
    def y_top(self) -> float:
        """Upper end of the vertical axis."""
        highest = self.top or max(value for series in self.series for value in series.y)
        return highest or 1.0


def round_ticks(low: float, high: float, *, most: int = 6, whole: bool = False) -> list[float]:
    """Return at most ``most`` round values from ``low`` to ``high``, their distance 1, 2 or 5 times a power of ten.

    ``whole``: whole numbers only.
    """
    exponents = range(-12, 13)
    steps = (factor * 10.0**exponent for exponent in exponents for factor in (1, 2, 5))
    for step in steps:
        first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
        if last - first + 1 <= most and (step >= 1 or not whole):
            return [float(np.round(number * step, 12)) + 0.0 for number in np.arange(first, last + 1)]
    return [low, high]


_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 8, 34
_WIDTH, _HEIGHT = 380, 200
_FEW_POINTS = 40

_Place = Callable[[float], float]


def line_chart(panel: Panel) -> str:
    """Return the panel as a chart; its lines are ``series-0``, ``series-1`` …, points are marked where they are few."""
    low, high = panel.x_range
    top = panel.y_top

    def across(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - low) / (high - low)

    def up(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / top)

    lines = "".join(_line(number, series, across, up) for number, series in enumerate(panel.series))
    return (
        f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(panel.title)}">'
        f"{_axes(panel, across, up)}{lines}{_mark(panel, across, up)}</svg>"
    )


def _line(number: int, series: Series, across: _Place, up: _Place) -> str:
    points = [(across(x), up(y)) for x, y in zip(series.x, series.y, strict=True)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points)
    shown = dots if len(points) <= _FEW_POINTS else ""
    return f'<g class="series-{number}"><polyline style="stroke-width:2" points="{path}"/>{shown}</g>'


def _axes(panel: Panel, across: _Place, up: _Place) -> str:
    low, high = panel.x_range
    parts = []
    for value in round_ticks(0, panel.y_top, most=5):
        parts.append(f'<path class="grid" d="M{across(low):.1f},{up(value):.1f}H{across(high):.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{up(value) + 3.5:.1f}" text-anchor="end">{value:g}</text>')
    for value in round_ticks(low, high, most=8, whole=True):
        parts.append(f'<text x="{across(value):.1f}" y="{_HEIGHT - 19}" text-anchor="middle">{value:g}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{escape(panel.x_label)}</text>')
    return "".join(parts)


def _mark(panel: Panel, across: _Place, up: _Place) -> str:
    if panel.mark is None:
        return ""
    x, y = panel.mark
    return f'<circle class="mark" cx="{across(x):.1f}" cy="{up(y):.1f}" r="4.5"/>'
