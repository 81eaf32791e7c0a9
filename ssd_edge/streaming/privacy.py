"""Privacy masks: areas that are blackened before inference, and objects that are blurred."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray, Frame, UInt8Array

Polygon = Sequence[tuple[float, float]]
"""Corners x, y: in fractions of the frame where none is over 1, otherwise in pixels."""

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_CORNER = re.compile(rf"\s*({_NUMBER})\s*,\s*({_NUMBER})\s*")
_MOSAIC = 8  # cells along the longer side of a blurred box: so few show no face and no plate
_BLACK = (0, 0, 0)
_MARGIN = 0.1  # of a box's sides, since boxes are never exact


def parse_polygon(text: str) -> Polygon:
    """Return the corners of ``"0,0 0.5,0 0.5,0.3"``.

    Raises:
        InputError: it is no such list of at least three corners.
    """
    corners = [_CORNER.fullmatch(part) for part in re.split(r"[\s;]+", re.sub(r"\s*,\s*", ",", text.strip()))]
    if len(corners) < 3 or not all(corners):
        raise InputError(
            f"{text!r} is not a mask",
            wanted="at least three corners x,y in pixels or fractions of the frame, such as 0,0 0.5,0 0.5,0.3",
        )
    return [(float(corner[1]), float(corner[2])) for corner in corners if corner is not None]


class PrivacyMask:
    """Polygons that are made black, with the pixels along their edges.

    Corners in pixels are those of the first frame; when the size of the frames changes, they change with it.

    Args:
        polygons: each of at least three corners.

    Raises:
        InputError: a polygon of fewer, or one that lies outside of the frame; the latter with the first frame.
    """

    def __init__(self, polygons: Iterable[Polygon]) -> None:
        self._polygons = [np.asarray(polygon, np.float64) for polygon in polygons]
        for polygon in self._polygons:
            if polygon.ndim != 2 or polygon.shape[0] < 3 or polygon.shape[1] != 2 or not np.all(polygon >= 0):
                raise InputError(
                    "a mask has too few corners", got=str(polygon.tolist()), wanted="at least three corners x, y"
                )
        self._first_size: tuple[int, int] | None = None

    def blacken(self, frame: Frame) -> Frame:
        """Return the frame with the polygons black; its image is changed where it may be, and copied where not."""
        size = (frame.width, frame.height)
        if self._first_size is None:
            self._first_size = size
            self._check_inside(size)
        image = frame.image if frame.image.flags.writeable else frame.image.copy()
        sides = np.array(image.shape[1::-1], np.float64)
        for polygon in self._polygons:
            fractions = polygon if polygon.max() <= 1 else polygon / self._first_size
            corners = np.floor(fractions * sides).astype(np.int32)
            cv2.fillPoly(image, [corners], _BLACK)
            cv2.polylines(image, [corners], True, _BLACK, thickness=3)
        return frame if image is frame.image else replace(frame, image=image)

    def _check_inside(self, size: tuple[int, int]) -> None:
        for polygon in self._polygons:
            if polygon.max() > 1 and np.any(polygon > size):
                raise InputError(
                    "a mask lies outside of the frame",
                    got=" ".join(f"{x:g},{y:g}" for x, y in polygon.tolist()),
                    wanted=f"corners within {size[0]} x {size[1]} pixels, or fractions from 0 to 1",
                )


@dataclass(frozen=True)
class Blur:
    """Objects of some classes, made unrecognizable in what is shown and kept.

    Attributes:
        labels: of the classes.
    """

    labels: frozenset[str]

    def check(self, class_names: Sequence[str]) -> None:
        """Raise InputError where a label is none of the model's."""
        unknown = sorted(self.labels - set(class_names))
        if unknown:
            raise InputError(
                f"the model has no class {', '.join(map(repr, unknown))}, which is to be blurred",
                wanted=", ".join(class_names),
            )

    def apply(self, image: UInt8Array, detections: Detections) -> UInt8Array:
        """Return a copy of the image in which each box of the classes, and a margin around it, is a coarse mosaic."""
        blurred = np.array(image, np.uint8, order="C")
        for box, label in zip(detections.boxes, detections.labels, strict=True):
            if label in self.labels:
                _pixelate(blurred, box)
        return blurred


def _pixelate(image: UInt8Array, box: FloatArray) -> None:
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (float(edge) for edge in box)
    across, down = _MARGIN * (x2 - x1), _MARGIN * (y2 - y1)
    left, top = max(0, int(x1 - across)), max(0, int(y1 - down))
    right, bottom = min(width, int(np.ceil(x2 + across))), min(height, int(np.ceil(y2 + down)))
    if right <= left or bottom <= top:
        return
    part = image[top:bottom, left:right]
    step = max(part.shape[:2]) / _MOSAIC
    cells = (max(1, int(part.shape[1] / step)), max(1, int(part.shape[0] / step)))
    small = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
    part[:] = cv2.resize(small, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)
