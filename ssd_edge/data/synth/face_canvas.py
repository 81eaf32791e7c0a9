"""A square to draw a sign's face on: vectors, smoothed by supersampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from ssd_edge.core.frame import UInt8Array
from ssd_edge.data.synth.glyphs import Points

FACE_PX = 256
Color = tuple[int, int, int]

_SUPERSAMPLE = 4
_MARGIN = 1.06  # half the face in units of the drawing, so that strokes on the edge are not cut off
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


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

    def disc(self, radius: float, color: Color, centre: tuple[float, float] = (0, 0)) -> None:
        """Fill a disc."""
        angles = np.linspace(0, 2 * math.pi, 120, endpoint=False)
        self.polygon(np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius + np.array(centre), color)

    def stroke(self, points: Points, color: Color, *, thickness: float) -> None:
        """Draw an open line with round ends and joints."""
        width = max(round(thickness * self._scale), 1)
        for plane, value in self._planes(color):
            cv2.polylines(plane, [self._pixels(points)], False, value, width, cv2.LINE_AA, _SHIFT)

    def face(self) -> UInt8Array:
        """Return the (256, 256, 4) BGRA picture, colours multiplied by alpha."""
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
