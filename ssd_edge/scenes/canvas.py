"""A square to draw a sign's face on: vectors, smoothed by supersampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ssd_edge.core.frame import UInt8Array

FACE_PX = 256
_SUPERSAMPLE = 4
_MARGIN = 1.06  # half the face in units of the drawing, so that strokes on the edge are not cut off
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates

Color = tuple[int, int, int]
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


class FaceCanvas:
    """A square to draw on in units of -1..1, y down; what is drawn on is opaque."""

    def __init__(self) -> None:
        side = FACE_PX * _SUPERSAMPLE
        self._color = np.zeros((side, side, 3), np.uint8)
        self._alpha = np.zeros((side, side), np.uint8)
        self._scale = side / (2 * _MARGIN)

    def polygon(self, points: Points, color: Color, *, rounding: float = 0.0) -> None:
        """Fill a polygon; ``rounding`` > 0 widens it by that radius, which rounds its corners."""
        pixels = self._pixels(points)
        for plane, value in self._planes(color):
            cv2.fillPoly(plane, [pixels], value, cv2.LINE_AA, _SHIFT)
        if rounding:
            self.stroke(np.concatenate([points, points[:1]]), color, thickness=2 * rounding)

    def disc(self, radius: float, color: Color, center: tuple[float, float] = (0, 0)) -> None:
        """Fill a disc."""
        angles = np.linspace(0, 2 * math.pi, 120, endpoint=False)
        self.polygon(np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius + np.array(center), color)

    def stroke(self, points: Points, color: Color, *, thickness: float) -> None:
        """Draw an open line with round ends and joints."""
        width = max(round(thickness * self._scale), 1)
        for plane, value in self._planes(color):
            cv2.polylines(plane, [self._pixels(points)], False, value, width, cv2.LINE_AA, _SHIFT)

    def face(self) -> UInt8Array:
        """Return the (256, 256, 4) BGRA image, colors multiplied by alpha."""
        layers = cv2.merge([*cv2.split(self._color), self._alpha])
        return np.asarray(cv2.resize(layers, (FACE_PX, FACE_PX), interpolation=cv2.INTER_AREA), np.uint8)

    def _pixels(self, points: Points) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        return np.asarray(np.rint(((points + _MARGIN) * self._scale - 0.5) * 2**_SHIFT), np.int32)

    def _planes(self, color: Color) -> list[tuple[UInt8Array, Sequence[int]]]:
        return [(self._color, color), (self._alpha, (255,))]


def regular_polygon(corners: int, radius: float, turn: float = 0.0) -> Points:
    """Return the corners of a regular polygon; ``turn`` in degrees, 0 puts the first at the right."""
    angles = np.radians(turn) + np.arange(corners) * 2 * math.pi / corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius
