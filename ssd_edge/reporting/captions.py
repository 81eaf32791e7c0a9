"""Captions of boxes that stay legible where boxes crowd: none covers another."""

from __future__ import annotations

from collections.abc import Iterator

import cv2

from ssd_edge.core.frame import FloatArray, UInt8Array

Color = tuple[int, int, int]
Plate = tuple[int, int, int, int]  # left, top, right, bottom; the last two are exclusive

_INK: Color = (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.45
_LEGIBLE_WIDTH = 400  # pages show images about so wide: text of wider ones is made larger, to be read there


class Captions:
    """Writes captions into an image, each on a plate of its own color.

    A caption stands above its box; where another one is already, inside the box or below it; where there is no room at
    all it is left out, so that the first that are written are those that are read.

    Args:
        canvas: (H, W, 3) BGR, drawn into.
    """

    def __init__(self, canvas: UInt8Array) -> None:
        self._canvas, self._plates = canvas, list[Plate]()
        self._scale = _FONT_SCALE * max(1.0, canvas.shape[1] / _LEGIBLE_WIDTH)
        self._stroke, self._pad = max(1, round(self._scale)), round(4 * self._scale / _FONT_SCALE) // 2

    def write(self, box: FloatArray, text: str, color: Color) -> bool:
        """Write the text beside the box of x1 y1 x2 y2; return whether there was room."""
        (width, height), baseline = cv2.getTextSize(text, _FONT, self._scale, self._stroke)
        size = (width + 2 * self._pad + 2, height + baseline + self._pad)
        plate = next((place for place in self._places(box, size) if self._is_free(place)), None)
        if plate is None:
            return False
        self._plates.append(plate)
        left, top, right, bottom = plate
        cv2.rectangle(self._canvas, (left, top), (right - 1, bottom - 1), color, cv2.FILLED)
        origin = (left + self._pad + 1, bottom - baseline)
        cv2.putText(self._canvas, text, origin, _FONT, self._scale, _INK, self._stroke, cv2.LINE_AA)
        return True

    def _places(self, box: FloatArray, size: tuple[int, int]) -> Iterator[Plate]:
        """Yield the plates above the box, inside it at its top, and below it, moved inwards where the image ends."""
        rows, columns = self._canvas.shape[:2]
        x, top, bottom = (round(float(value)) for value in (box[0], box[1], box[3]))
        left = max(0, min(x - 1, columns - size[0]))
        for y in (top - size[1], top, bottom):
            held = max(0, min(y, rows - size[1]))
            yield left, held, left + size[0], held + size[1]

    def _is_free(self, plate: Plate) -> bool:
        left, top, right, bottom = plate
        return all(x2 <= left or right <= x1 or y2 <= top or bottom <= y1 for x1, y1, x2, y2 in self._plates)
