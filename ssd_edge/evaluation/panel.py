"""A chart's content, whatever draws it: the page draws it as SVG, ``figures`` as PNG."""

from __future__ import annotations

from dataclasses import dataclass

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
