"""All detections of a set in one row, best first, with the verdict on each and the objects that it is near to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import IntArray
from ssd_edge.evaluation.matching import NO_OBJECT, BoolArray, Float64Array, Truth, assign, judge

_NO_NUMBERS = np.zeros(0, np.int64)


class Near(NamedTuple):
    """(D,) best overlap with an object, and (D,) the number of that object in the set; ``NO_OBJECT`` if none."""

    iou: Float64Array
    objects: IntArray


@dataclass(frozen=True)
class JudgedSet:
    """The detections that count, best first, and the objects.

    Attributes:
        class_ids, right: (D,) of the detections.
        same, other: the nearest object of the detection's class, and of another class; difficult ones are left out.
        object_classes: (G,) of all objects.
        lost: (G,) objects that must be found and were not.
        wanted: (C,) objects of each class that must be found.
    """

    class_ids: IntArray
    right: BoolArray
    same: Near
    other: Near
    object_classes: IntArray
    lost: BoolArray
    wanted: IntArray

    def replaced(self, kept: BoolArray, class_ids: IntArray, right: BoolArray) -> JudgedSet:
        """Return the set with other classes and verdicts, and only the (D,) ``kept`` detections."""
        same, other = (Near(near.iou[kept], near.objects[kept]) for near in (self.same, self.other))
        return dataclasses.replace(self, class_ids=class_ids[kept], right=right[kept], same=same, other=other)


def judged_set(
    detections: Sequence[Detections], truths: Sequence[Truth], class_count: int, iou_threshold: float
) -> JudgedSet:
    """Judge the detections of each picture by the VOC rule; see :func:`ssd_edge.evaluation.matching.judge`."""
    total = sum(len(found) for found in detections)
    counted, right = np.zeros(total, bool), np.zeros(total, bool)
    lost = ~np.concatenate([np.zeros(0, bool), *(truth.difficult for truth in truths)])
    assignments = assign(detections, truths, class_count)
    for assignment in assignments:
        verdicts = judge(assignment, iou_threshold)
        rows = assignment.rows[verdicts.counted]
        counted[rows], right[rows] = True, verdicts.right
        lost[assignment.objects[verdicts.counted][verdicts.right]] = False
    order = np.argsort(-np.concatenate([np.zeros(0), *(found.scores for found in detections)]), kind="stable")
    order = order[counted[order]]
    same, other = _neighbours(detections, truths)
    return JudgedSet(
        class_ids=np.concatenate([_NO_NUMBERS, *(found.class_ids for found in detections)])[order],
        right=right[order],
        same=Near(same.iou[order], same.objects[order]),
        other=Near(other.iou[order], other.objects[order]),
        object_classes=np.concatenate([_NO_NUMBERS, *(truth.class_ids for truth in truths)]),
        lost=lost,
        wanted=np.array([assignment.wanted for assignment in assignments], np.int64),
    )


def _neighbours(detections: Sequence[Detections], truths: Sequence[Truth]) -> tuple[Near, Near]:
    """Return, for each detection picture by picture, the nearest object of its class, and of another class."""
    same, other, first = [], [], 0
    for found, truth in zip(detections, truths, strict=True):
        numbers = first + np.flatnonzero(~truth.difficult)
        boxes, class_ids = truth.boxes[~truth.difficult], truth.class_ids[~truth.difficult]
        overlap = iou_matrix(found.boxes.astype(np.float64), boxes.astype(np.float64))
        is_same = found.class_ids[:, None] == class_ids[None, :]
        same.append(_nearest(np.where(is_same, overlap, 0.0), numbers))
        other.append(_nearest(np.where(is_same, 0.0, overlap), numbers))
        first += len(truth.class_ids)
    return _joined(same), _joined(other)


def _nearest(overlap: Float64Array, numbers: IntArray) -> Near:
    if len(numbers) == 0:
        return Near(np.zeros(len(overlap)), np.full(len(overlap), NO_OBJECT, np.int64))
    return Near(overlap.max(axis=1), numbers[overlap.argmax(axis=1)])


def _joined(parts: Sequence[Near]) -> Near:
    return Near(
        np.concatenate([np.zeros(0), *(part.iou for part in parts)]),
        np.concatenate([_NO_NUMBERS, *(part.objects for part in parts)]),
    )
