"""One line of a YOLO label file: a class and a box, or a class and the outline of an object."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ssd_edge.data.faults import LabelError, LabelFaultKind
from ssd_edge.data.sample import Corners, LabelledObject

_SHORTEST_OUTLINE = 6  # three points


def read_yolo_row(
    path: Path, number: int, row: Sequence[str], labels: Sequence[str], size: tuple[int, int]
) -> LabelledObject:
    """Return the object of line ``number``: ``class cx cy w h``, or ``class x1 y1 x2 y2 x3 y3 …`` as its outline.

    Args:
        path: the label file, for messages.
        number: of the line, from 1.
        row: the words of the line.
        labels: the class of each number.
        size: (width, height) of the picture in pixels.

    Raises:
        LabelError: the line is no object of a known class inside the picture.
    """
    place = f"line {number}"
    try:
        class_number, values = int(row[0]), [float(word) for word in row[1:]]
    except ValueError:
        raise _not_an_object(path, place, row) from None
    is_outline = len(values) >= _SHORTEST_OUTLINE and len(values) % 2 == 0
    if len(values) != 4 and not is_outline:
        raise _not_an_object(path, place, row)
    if not 0 <= class_number < len(labels):
        wanted = f"0 to {len(labels) - 1}"
        raise _wrong("class-unknown", path, place, "is of an unknown class", got=row[0][:20], wanted=wanted)
    _refuse_odd_values(path, place, row, values, negative_side=not is_outline and min(values[2:]) < 0)
    x1, y1, x2, y2 = _outlined(values) if is_outline else _around_centre(values)
    width, height = size
    box = (x1 * width, y1 * height, x2 * width, y2 * height)
    return LabelledObject.of_box(labels[class_number], box, place=place)


def _refuse_odd_values(
    path: Path, place: str, row: Sequence[str], values: Sequence[float], *, negative_side: bool
) -> None:
    got, wanted = " ".join(row[1:])[:80], "fractions of the picture, 0 to 1"
    if not all(math.isfinite(value) for value in values):
        raise _wrong("box-not-finite", path, place, "has a value that is no number", got=got, wanted=wanted)
    if negative_side:
        raise _wrong("box-inverted", path, place, "has a negative width or height", got=got, wanted=wanted)
    if not all(0 <= value <= 1 for value in values):
        raise _wrong("box-outside", path, place, "has a box outside the picture", got=got, wanted=wanted)


def _around_centre(values: Sequence[float]) -> Corners:
    cx, cy, w, h = values
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def _outlined(values: Sequence[float]) -> Corners:
    xs, ys = values[0::2], values[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _not_an_object(path: Path, place: str, row: Sequence[str]) -> LabelError:
    got, wanted = " ".join(row)[:80], "class cx cy w h, or class x1 y1 x2 y2 x3 y3 …"
    return _wrong("object-malformed", path, place, "is not an object", got=got, wanted=wanted)


def _wrong(kind: LabelFaultKind, path: Path, place: str, what: str, *, got: str, wanted: str) -> LabelError:
    return LabelError(kind, f"{path}: {place} {what}", file=path, place=place, got=got, wanted=wanted)
