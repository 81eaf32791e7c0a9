"""Warnings about usable objects: tiny ones, and those labelled twice."""

from __future__ import annotations

from collections.abc import Container, Iterator

import numpy as np

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.sample import LabelledObject, object_fault
from ssd_edge.data.lint.issue import Issue
from ssd_edge.data.scan import ScannedImage

_TINY_PX = 2.0
_SAME_OBJECT_IOU = 0.95


def object_issues(image: ScannedImage, known: Container[str], split: str) -> Iterator[Issue]:
    """Yield what is odd about the sound objects of an image.

    Args:
        image: as scanned.
        known: the names of the classes.
        split: for the issues.
    """
    sound: list[tuple[str, LabelledObject]] = []
    for number, found in enumerate(image.objects, start=1):
        if object_fault(found, known, number, image.origin) is None:
            place = f"{found.place or f'object {number}'} ({found.label})"
            sound.append((place, found))
            if _is_tiny(found, image.size):
                yield _issue("box-tiny", image, split, place, found, _tiny(found))
    for place, found, other in _twice(sound):
        yield _issue("object-twice", image, split, place, found, f"has the class and the box of {other}")


def _issue(kind: str, image: ScannedImage, split: str, place: str, found: LabelledObject, what: str) -> Issue:
    message = f"{image.origin}: {place} {what}"
    return Issue(kind, split, image.origin, message, place, image.image, found.box)


def _is_tiny(found: LabelledObject, size: tuple[int, int] | None) -> bool:
    """Whether a box in its image has a side of less than two pixels; what lies outside is no tiny object."""
    x1, y1, x2, y2 = found.box
    outside = size is not None and (x1 >= size[0] or y1 >= size[1] or x2 <= 0 or y2 <= 0)
    return not outside and min(x2 - x1, y2 - y1) < _TINY_PX


def _tiny(found: LabelledObject) -> str:
    x1, y1, x2, y2 = found.box
    return f"is {x2 - x1:g} x {y2 - y1:g} pixels: x1 y1 x2 y2 = {x1:g} {y1:g} {x2:g} {y2:g}"


def _twice(sound: list[tuple[str, LabelledObject]]) -> Iterator[tuple[str, LabelledObject, str]]:
    """Each object that repeats an earlier one, with its place and the place of that one."""
    if len(sound) < 2:
        return
    boxes = np.array([found.box for _, found in sound], np.float32)
    labels = np.array([found.label for _, found in sound])
    same = (iou_matrix(boxes, boxes) > _SAME_OBJECT_IOU) & (labels[:, None] == labels)
    for later, earlier in zip(*np.nonzero(np.tril(same, -1)), strict=True):
        yield sound[later][0], sound[later][1], sound[earlier][0]
