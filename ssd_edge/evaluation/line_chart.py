"""Lines over epochs as inline SVG: no script, no library, and colours that follow the page."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from ssd_edge.evaluation.panel import Panel, Series, round_ticks

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
