"""Letters and digits as strokes in the unit square, so that signs look the same with every OpenCV."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


def _line(*points: tuple[float, float]) -> Points:
    return np.array(points, np.float64)


def _arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> Points:
    """Points of an ellipse from ``start`` to ``end`` degrees, clockwise as y points down."""
    angles = np.radians(np.linspace(start, end, 24))
    return np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1)


def _ellipse(cx: float, cy: float, rx: float, ry: float) -> Points:
    return _arc(cx, cy, rx, ry, 0, 360)


_SIX = (_ellipse(0.5, 0.68, 0.5, 0.32), _arc(0.95, 0.68, 0.95, 0.68, -180, -95))

# Each glyph: strokes in the unit square, x to the right, y down.
GLYPHS: dict[str, tuple[Points, ...]] = {
    "S": (np.concatenate([_arc(0.5, 0.25, 0.5, 0.25, -25, -270), _arc(0.5, 0.75, 0.5, 0.25, -90, 155)]),),
    "T": (_line((0, 0), (1, 0)), _line((0.5, 0), (0.5, 1))),
    "O": (_ellipse(0.5, 0.5, 0.5, 0.5),),
    "P": (np.concatenate([_line((0, 1), (0, 0)), _arc(0.55, 0.28, 0.45, 0.28, -90, 90), _line((0, 0.56))]),),
    "0": (_ellipse(0.5, 0.5, 0.5, 0.5),),
    "1": (_line((0.15, 0.22), (0.6, 0), (0.6, 1)),),
    "2": (np.concatenate([_arc(0.5, 0.3, 0.5, 0.3, -170, 30), _line((0, 1), (1, 1))]),),
    "3": (np.concatenate([_arc(0.5, 0.25, 0.48, 0.25, -155, 90), _arc(0.5, 0.75, 0.5, 0.25, -90, 155)]),),
    "5": (np.concatenate([_line((0.92, 0), (0.14, 0), (0.08, 0.46)), _arc(0.5, 0.68, 0.5, 0.32, -135, 150)]),),
    "6": _SIX,
    "7": (_line((0, 0), (1, 0), (0.38, 1)),),
    "8": (_ellipse(0.5, 0.25, 0.43, 0.25), _ellipse(0.5, 0.75, 0.5, 0.25)),
    "9": tuple(1 - stroke for stroke in _SIX),
}


def text_strokes(text: str, *, width: float, height: float, gap: float) -> list[Points]:
    """Return the strokes of ``text``, laid out in a ``width`` x ``height`` box around the origin.

    ``gap`` is the room between two letters, in the same unit.
    """
    advance = (width + gap) / len(text)
    scale = np.array([advance - gap, height])
    strokes = []
    for number, letter in enumerate(text):
        corner = np.array([number * advance - width / 2, -height / 2])
        strokes += [stroke * scale + corner for stroke in GLYPHS[letter]]
    return strokes
