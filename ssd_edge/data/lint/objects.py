"""Faults of single objects: classes and boxes."""

from __future__ import annotations

from collections.abc import Container, Iterator

import numpy as np

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.sample import LabelledObject, object_fault
from ssd_edge.data.lint.issue import Issue
from ssd_edge.data.scan import ScannedImage

_TINY_PX = 2.0
_EDGE_PX = 1.0  # labels of some tools count from 0, of others from 1
_SAME_OBJECT_IOU = 0.95


def object_issues(
    picture: ScannedImage, size: tuple[int, int] | None, known: Container[str], split: str
) -> Iterator[Issue]:
    """Yield what is wrong with the objects of a picture.

    Args:
        picture: as scanned.
        size: (width, height) of its pixels, where they could be read.
        known: the names of the classes.
        split: for the faults.
    """
    sound: list[tuple[str, LabelledObject]] = []
    for number, found in enumerate(picture.objects, start=1):
        error = object_fault(found, known, number, picture.origin)
        if error is not None:
            yield Issue.of_error(error, split, image=picture.image, box=found.box)
            continue
        place = f"{found.place or f'object {number}'} ({found.label})"
        sound.append((place, found))
        kind, what = _box_fault(found, size)
        if kind:
            yield _fault(kind, picture, split, place, found, what)
    for place, found, other in _twice(sound):
        yield _fault("object-twice", picture, split, place, found, f"has the class and the box of {other}")


def _fault(kind: str, picture: ScannedImage, split: str, place: str, found: LabelledObject, what: str) -> Issue:
    message = f"{picture.origin}: {place} {what}"
    return Issue(kind, split, picture.origin, message, place, picture.image, found.box)


def _box_fault(found: LabelledObject, size: tuple[int, int] | None) -> tuple[str, str]:
    x1, y1, x2, y2 = found.box
    stated = f"x1 y1 x2 y2 = {x1:g} {y1:g} {x2:g} {y2:g}"
    if size is not None:
        width, height = size
        if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
            return "box-outside", f"lies outside its picture of {width} x {height}: {stated}"
        if min(x1, y1) < -_EDGE_PX or x2 > width + _EDGE_PX or y2 > height + _EDGE_PX:
            return "box-over-edge", f"reaches over the edge of its picture of {width} x {height}: {stated}"
    if min(x2 - x1, y2 - y1) < _TINY_PX:
        return "box-tiny", f"is {x2 - x1:g} x {y2 - y1:g} pixels: {stated}"
    return "", ""


def _twice(sound: list[tuple[str, LabelledObject]]) -> Iterator[tuple[str, LabelledObject, str]]:
    """Each object that repeats an earlier one, with its place and the place of that one."""
    if len(sound) < 2:
        return
    boxes = np.array([found.box for _, found in sound], np.float32)
    labels = np.array([found.label for _, found in sound])
    same = (iou_matrix(boxes, boxes) > _SAME_OBJECT_IOU) & (labels[:, None] == labels)
    for later, earlier in zip(*np.nonzero(np.tril(same, -1)), strict=True):
        yield sound[later][0], sound[later][1], sound[earlier][0]
