"""Boxes that are all in another unit than their format has: learned from as they are, they would teach nothing."""

from __future__ import annotations

from collections.abc import Iterator

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import Corners
from ssd_edge.data.scan import ScannedSet
from ssd_edge.data.usable import EDGE_PX, looks_like_fractions

_FEWEST = 3  # objects that an unlikely reading must fit
_OVER_EDGE = 0.1  # share of boxes that the format's own reading puts over the edge
_MOST_FRACTIONS = 0.5  # share of objects from which on they are no single mistake
_PIXELS = 1.5  # a fraction that is larger is none
_EXAMPLES = 2

_Sized = tuple[Corners, tuple[int, int]]


def check_unit(scanned: ScannedSet) -> None:
    """Refuse a set whose boxes are in another unit than its format has.

    Raises:
        InputError: they look like fractions where pixels are wanted, like pixels where fractions are, or like the
            corners x1 y1 x2 y2 where x y width height are.
    """
    boxes = list(_boxes(scanned))
    if not boxes:
        return
    if scanned.unit == "fractions":
        _check_pixels(scanned, boxes)
        return
    fractions = [box for box, _ in boxes if looks_like_fractions(box)]
    if len(fractions) > _MOST_FRACTIONS * len(boxes):
        do = "Multiply the coordinates by the width and the height of the image."
        raise _mistaken(scanned, "look like fractions of the images", fractions, wanted="pixels", do=do)
    if scanned.unit == "sides":
        _check_corners(scanned, boxes)


def _boxes(scanned: ScannedSet) -> Iterator[_Sized]:
    for entry in scanned.images:
        if entry.size is not None:
            for found in entry.objects:
                yield found.box, entry.size


def _check_pixels(scanned: ScannedSet, boxes: list[_Sized]) -> None:
    pixels = [box for box, size in boxes if box[2] > _PIXELS * size[0] and box[3] > _PIXELS * size[1]]
    if len(pixels) > _MOST_FRACTIONS * len(boxes):
        do = "Divide the coordinates by the width and the height of the image."
        raise _mistaken(scanned, "look like pixels", pixels, wanted="fractions of the images, 0 to 1", do=do)


def _check_corners(scanned: ScannedSet, boxes: list[_Sized]) -> None:
    """COCO's boxes are x y width height; where all of them can be corners and many lie over the edge, they are."""
    stated = [((x1, y1, x2 - x1, y2 - y1), size) for (x1, y1, x2, y2), size in boxes]
    over_edge = [box for box, (w, h) in stated if box[0] + box[2] > w + EDGE_PX or box[1] + box[3] > h + EDGE_PX]
    fit = all(
        box[0] < box[2] <= width + EDGE_PX and box[1] < box[3] <= height + EDGE_PX for box, (width, height) in stated
    )
    if fit and len(boxes) >= _FEWEST and len(over_edge) > _OVER_EDGE * len(boxes):
        do = "Subtract x1 from x2 and y1 from y2."
        raise _mistaken(scanned, "look like corners, x1 y1 x2 y2", over_edge, wanted="x y width height", do=do)


def _mistaken(scanned: ScannedSet, what: str, boxes: list[Corners], *, wanted: str, do: str) -> InputError:
    first = "; ".join(" ".join(f"{value:g}" for value in box) for box in boxes[:_EXAMPLES])
    count = sum(len(entry.objects) for entry in scanned.images)
    return InputError(
        f"{scanned.origin}: the coordinates {what}",
        got=f"{len(boxes)} of {count} boxes, for example {first}",
        wanted=wanted,
        do=do,
    )
