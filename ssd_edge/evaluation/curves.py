"""Precision-recall curves as inline SVG: no script, no library, and colours that follow the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from ssd_edge.evaluation.mean_ap import ClassAp

_SIDE, _LEFT, _BOTTOM, _EDGE = 180, 26, 20, 6
_WIDTH, _HEIGHT = _LEFT + _SIDE + _EDGE, _EDGE + _SIDE + _BOTTOM


def class_chart(curves: Sequence[ClassAp]) -> str:
    """Return one class's chart, with a line ``series-0``, ``series-1`` … for each artefact.

    A later line is drawn thinner, so that an equal one below stays in sight. The curve itself is drawn, not its
    envelope, in at most two points a recall step.
    """
    lines = [
        f'<polyline class="series-{number}" style="stroke-width:{_stroke(number, len(curves))}" '
        f'points="{_points(curve)}"/>'
        for number, curve in enumerate(curves)
    ]
    label = f"precision over recall of {curves[0].name}"
    return (
        f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{_grid()}{''.join(lines)}</svg>"
    )


def _stroke(number: int, count: int) -> float:
    return 2.0 + 2.0 * (count - 1 - number)


def _points(curve: ClassAp) -> str:
    """Return the polyline's points, each run of equal recall reduced to its highest and lowest precision."""
    if len(curve.recall) == 0:
        return ""
    starts = np.flatnonzero(np.diff(curve.recall, prepend=-1.0))
    ends = np.append(starts[1:], len(curve.recall)) - 1
    rows = np.unique(np.stack([starts, ends], axis=1))
    return " ".join(f"{_x(curve.recall[row]):.1f},{_y(curve.precision[row]):.1f}" for row in rows)


def _grid() -> str:
    parts = []
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path class="grid" d="M{_x(0)},{_y(level)}H{_x(1)}M{_x(level)},{_y(0)}V{_y(1)}"/>')
    for level in (0.0, 0.5, 1.0):
        parts.append(f'<text x="{_x(level)}" y="{_HEIGHT - 5}" text-anchor="middle">{level:g}</text>')
        parts.append(f'<text x="{_LEFT - 5}" y="{_y(level) + 4}" text-anchor="end">{level:g}</text>')
    return "".join(parts)


def _x(recall: float) -> float:
    return _LEFT + _SIDE * recall


def _y(precision: float) -> float:
    return _EDGE + _SIDE * (1 - precision)
