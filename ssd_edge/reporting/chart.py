"""Line charts: their content, and one layout of it, for pages (SVG) and files (PNG) alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_edge.reporting.drawing import (
    Dot,
    Drawing,
    Label,
    Line,
    Shape,
    below_one_another,
    save_png,
    shortened,
    svg,
    text_width,
)

_FEW_POINTS = 40
_GAP = 10.0
_CAPTION = 20.0  # height of the line above a chart in a file


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
        is_unit_square: both axes run from 0 to 1, as for precision over recall. Lines may be empty or lie on one
            another: the earlier are then the wider.
    """

    title: str
    x_label: str
    series: tuple[Series, ...]
    top: float | None = None
    mark: tuple[float, float] | None = None
    remark: str = ""
    is_unit_square: bool = False

    @property
    def caption(self) -> str:
        """The title with the remark."""
        return f"{self.title}: {self.remark}" if self.remark else self.title

    @property
    def x_range(self) -> tuple[float, float]:
        """Ends of the horizontal axis; a single point stands in the middle."""
        if self.is_unit_square:
            return 0.0, 1.0
        values = [value for series in self.series for value in series.x]
        low, high = min(values), max(values)
        return (low, high) if high > low else (low - 0.5, low + 0.5)

    @property
    def y_top(self) -> float:
        """Upper end of the vertical axis."""
        if self.is_unit_square:
            return 1.0
        highest = self.top or max(value for series in self.series for value in series.y)
        return highest or 1.0


def chart_svg(panel: Panel) -> str:
    """Return the chart for a page; its lines have the classes ``series-0``, ``series-1`` …, as ``series_key`` has."""
    return svg(_chart(panel))


def save_charts(path: Path, title: str, panels: Sequence[Panel]) -> None:
    """Draw charts of one size side by side in one PNG, each under its caption.

    Raises:
        MissingPackageError: matplotlib is not installed.
        InputError: the folder cannot be written.
    """
    cells = [_with_caption(panel) for panel in panels]
    columns = min(len(cells), 2)
    if panels[0].is_unit_square:
        columns = min(len(cells), max(3, min(5, math.ceil(math.sqrt(len(cells))))))
    wide, high = cells[0].width + _GAP, cells[0].height + _GAP
    shapes: list[Shape] = []
    for number, cell in enumerate(cells):
        shapes += cell.moved(_GAP + number % columns * wide, number // columns * high)
    rows = math.ceil(len(cells) / columns)
    save_png(path, below_one_another(title, [Drawing(_GAP + columns * wide, rows * high, tuple(shapes))]))


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


@dataclass(frozen=True)
class _Frame:
    """Layout of a chart: margins, and the values at the ends of the axes."""

    width: float
    height: float
    left: float
    right: float
    above: float
    below: float
    low: float
    high: float
    top: float

    @classmethod
    def of(cls, panel: Panel) -> _Frame:
        low, high = panel.x_range
        if panel.is_unit_square:
            return cls(212, 206, 26, 6, 6, 20, low, high, panel.y_top)
        return cls(380, 200, 44, 12, 8, 34, low, high, panel.y_top)

    def x(self, value: float) -> float:
        return self.left + (self.width - self.left - self.right) * (value - self.low) / (self.high - self.low)

    def y(self, value: float) -> float:
        return self.above + (self.height - self.above - self.below) * (1 - value / self.top)


def _chart(panel: Panel) -> Drawing:
    frame = _Frame.of(panel)
    shapes: list[Shape] = [*(_unit_axes(frame) if panel.is_unit_square else _axes(panel, frame))]
    for number, series in enumerate(panel.series):
        points = tuple((frame.x(x), frame.y(y)) for x, y in zip(series.x, series.y, strict=True))
        wider = 2.0 * (len(panel.series) - 1 - number) if panel.is_unit_square else 0.0
        shapes.append(Line(points, f"series-{number}", 2.0 + wider))
        if len(points) <= _FEW_POINTS and not panel.is_unit_square:
            shapes += [Dot(point, 2.5, f"series-{number}") for point in points]
    if panel.mark is not None:
        x, y = panel.mark
        shapes.append(Dot((frame.x(x), frame.y(y)), 4.5, "mark"))
    return Drawing(frame.width, frame.height, tuple(shapes), panel.title)


def _axes(panel: Panel, frame: _Frame) -> Iterator[Shape]:
    for value in round_ticks(0, frame.top, most=5):
        y = frame.y(value)
        yield Line(((frame.left, y), (frame.width - frame.right, y)), "grid")
        yield Label((frame.left - 6, y + 3.5), f"{value:g}", "end")
    for value in round_ticks(frame.low, frame.high, most=8, whole=True):
        yield Label((frame.x(value), frame.height - 19), f"{value:g}", "middle")
    yield Label((frame.width - frame.right, frame.height - 4), panel.x_label, "end")


def _unit_axes(frame: _Frame) -> Iterator[Shape]:
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        yield Line(((frame.x(0), frame.y(value)), (frame.x(1), frame.y(value))), "grid")
        yield Line(((frame.x(value), frame.y(0)), (frame.x(value), frame.y(1))), "grid")
    for value in (0.0, 0.5, 1.0):
        yield Label((frame.x(value), frame.height - 5), f"{value:g}", "middle")
        yield Label((frame.left - 5, frame.y(value) + 4), f"{value:g}", "end")


def _with_caption(panel: Panel) -> Drawing:
    """Return the chart under its caption and the names of its lines; on a page both are HTML."""
    chart = _chart(panel)
    shapes: list[Shape] = []
    right = chart.width - 12
    if len(panel.series) > 1:
        for number, series in reversed([*enumerate(panel.series)]):
            right -= text_width(series.label, 9) + 4
            shapes.append(Label((right + 4, _CAPTION - 7), series.label, size=9))
            shapes.append(Line(((right - 14, _CAPTION - 10), (right, _CAPTION - 10)), f"series-{number}", 2))
            right -= 24
    shapes.insert(0, Label((6, _CAPTION - 7), shortened(panel.caption, right - 6), role="ink"))
    if panel.is_unit_square and not any(series.x for series in panel.series):
        shapes.append(Label((chart.width / 2, _CAPTION + chart.height / 2), "no detection", "middle", size=9))
    shapes += chart.moved(0, _CAPTION)
    return Drawing(chart.width, chart.height + _CAPTION, tuple(shapes))
