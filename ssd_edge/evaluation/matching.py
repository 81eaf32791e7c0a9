"""Matching of detections with objects, by the rules of the Pascal VOC devkit (VOCevaldet.m)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import FloatArray, IntArray
from ssd_edge.core.sample import UNKNOWN_CLASS

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]

Scalar = TypeVar("Scalar", bound=np.generic)

NO_OBJECT = -1


class Truth(Protocol):
    """The objects that are really in an image; ``data.Sample`` is one."""

    @property
    def boxes(self) -> FloatArray:
        """(N, 4) x1 y1 x2 y2 in pixels, continuous coordinates: a box from 0 to 10 is 10 wide."""

    @property
    def class_ids(self) -> IntArray:
        """(N,) numbers of the classes, 0 = first real class; ``UNKNOWN_CLASS`` may be any, and is difficult."""

    @property
    def difficult(self) -> BoolArray:
        """(N,) true where an object must neither be found nor count as wrong when it is."""


@dataclass(frozen=True)
class Assignment:
    """All detections of one class over a whole set, best first, each with the object that it overlaps most.

    Attributes:
        scores: (D,) not increasing; equal scores stay in the order of the images, then of the detections.
        overlaps: (D,) intersection over union with that object, 0 where the image has none of the class.
        objects: (D,) number of that object in the set, ``NO_OBJECT`` where there is none.
        rows: (D,) number of the detection in the set, counted image by image.
        difficult: (G,) of every object in the set, of any class.
        num_objects: number of objects of the class that must be found.
        num_difficult: number of objects of the class that are difficult.
    """

    scores: FloatArray
    overlaps: Float64Array
    objects: IntArray
    rows: IntArray
    difficult: BoolArray
    num_objects: int
    num_difficult: int


@dataclass(frozen=True)
class Outcomes:
    """Right or wrong for each detection that counts, best first.

    Attributes:
        counted: (D,) of every detection of the assignment: false on a difficult object.
        scores, true_positives: (the counted ones,).
    """

    counted: BoolArray
    scores: FloatArray
    true_positives: BoolArray


def assign(detections: Sequence[Detections], truths: Sequence[Truth], class_count: int) -> list[Assignment]:
    """Give each detection the object of its image and class that it overlaps most, the first of equals.

    Returns one assignment for each class.
    """
    overlaps, objects = _pair_up(detections, truths)
    scores = _joined([found.scores for found in detections], np.float32)
    labels = _joined([found.class_ids for found in detections], np.int64)
    wanted_labels = _joined([truth.class_ids for truth in truths], np.int64)
    difficult = _joined([truth.difficult for truth in truths], np.bool_)
    order = np.argsort(-scores, kind="stable")
    assignments = []
    for class_id in range(class_count):
        rows, mine = order[labels[order] == class_id], wanted_labels == class_id
        counts = int(np.count_nonzero(mine & ~difficult)), int(np.count_nonzero(mine & difficult))
        assignments.append(Assignment(scores[rows], overlaps[rows], objects[rows], rows, difficult, *counts))
    return assignments


def match(assignment: Assignment, iou_threshold: float) -> Outcomes:
    """Call a detection right where it is the best-scored one that overlaps its object by ``iou_threshold`` or more.

    A second detection of an object is wrong, even where it overlaps another object that nobody found; one whose
    object is difficult does not count.
    """
    near = (assignment.overlaps >= iou_threshold) & (assignment.objects != NO_OBJECT)
    rows = np.flatnonzero(near)
    _, firsts = np.unique(assignment.objects[rows], return_index=True)
    right = np.zeros(len(near), bool)
    right[rows[firsts]] = True
    counted = np.ones(len(near), bool)
    counted[rows] = ~assignment.difficult[assignment.objects[rows]]
    return Outcomes(counted, assignment.scores[counted], right[counted])


def _pair_up(detections: Sequence[Detections], truths: Sequence[Truth]) -> tuple[Float64Array, IntArray]:
    """Return, over all images, each detection's best overlap and the number of that object in the whole set."""
    overlaps, objects, first = [], [], 0
    for found, truth in zip(detections, truths, strict=True):
        overlap, nearest = _nearest(found, truth)
        overlaps.append(overlap)
        objects.append(np.where(nearest == NO_OBJECT, NO_OBJECT, nearest + first))
        first += len(truth.class_ids)
    return _joined(overlaps, np.float64), _joined(objects, np.int64)


def _nearest(found: Detections, truth: Truth) -> tuple[Float64Array, IntArray]:
    """Return (D,) best overlap of each detection with an object of its class, and (D,) which; ``NO_OBJECT`` if none."""
    if len(truth.boxes) == 0:
        return np.zeros(len(found)), np.full(len(found), NO_OBJECT, np.int64)
    overlap = iou_matrix(found.boxes.astype(np.float64), truth.boxes.astype(np.float64))
    may_be = (found.class_ids[:, None] == truth.class_ids[None, :]) | (truth.class_ids == UNKNOWN_CLASS)[None, :]
    overlap = np.where(may_be, overlap, -1.0)
    nearest = overlap.argmax(axis=1).astype(np.int64)
    best = overlap.max(axis=1)
    return np.maximum(best, 0.0), np.where(best >= 0, nearest, NO_OBJECT)


def _joined(parts: Sequence[npt.NDArray[Scalar]], dtype: type[Scalar]) -> npt.NDArray[Scalar]:
    return np.concatenate([np.zeros(0, dtype), *parts])
