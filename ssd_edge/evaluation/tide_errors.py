"""TIDE errors: the six kinds of error, and the mean AP that each costs.

The kinds and their repairs are those of TIDE (Bolya et al. 2020, arXiv 2008.08115, sections 2.2 and 2.3): a kind costs
what the mean AP would gain if an oracle fixed that kind alone. Two things differ from the authors' program. Which
detection is right is decided by the VOC rule, so that the gain counts from the mean AP that ``eval`` prints; and each
oracle works alone, where the program lets an object that both a better box and a better class would find be found by
the better-scored detection of the two only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.choices import Metric
from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import IntArray
from ssd_edge.evaluation.matching import NO_OBJECT, BoolArray, Float64Array, Truth, assign, match
from ssd_edge.evaluation.mean_ap import MeanAp, average_precision, precision_recall

_NO_NUMBERS = np.zeros(0, np.int64)


class Near(NamedTuple):
    """(D,) best overlap with an object, and (D,) the number of that object in the set; ``NO_OBJECT`` if none."""

    iou: Float64Array
    objects: IntArray


@dataclass(frozen=True)
class MatchedSet:
    """The detections that count, best first, and the objects.

    Attributes:
        class_ids, true_positives: (D,) of the detections.
        same, other: the nearest object of the detection's class, and of another class; difficult ones are left out.
        object_classes: (G,) of all objects.
        lost: (G,) objects that must be found and were not.
        num_objects: (C,) objects of each class that must be found.
    """

    class_ids: IntArray
    true_positives: BoolArray
    same: Near
    other: Near
    object_classes: IntArray
    lost: BoolArray
    num_objects: IntArray

    def replaced(self, kept: BoolArray, class_ids: IntArray, right: BoolArray) -> MatchedSet:
        """Return the set with other classes and outcomes, and only the (D,) ``kept`` detections."""
        same, other = (Near(near.iou[kept], near.objects[kept]) for near in (self.same, self.other))
        return dataclasses.replace(self, class_ids=class_ids[kept], true_positives=right[kept], same=same, other=other)


def matched_set(
    detections: Sequence[Detections], truths: Sequence[Truth], class_count: int, iou_threshold: float
) -> MatchedSet:
    """Evaluate the detections of each image by the VOC rule; see :func:`ssd_edge.evaluation.matching.match`."""
    total = sum(len(found) for found in detections)
    counted, right = np.zeros(total, bool), np.zeros(total, bool)
    lost = ~np.concatenate([np.zeros(0, bool), *(truth.difficult for truth in truths)])
    assignments = assign(detections, truths, class_count)
    for assignment in assignments:
        outcomes = match(assignment, iou_threshold)
        rows = assignment.rows[outcomes.counted]
        counted[rows], right[rows] = True, outcomes.true_positives
        lost[assignment.objects[outcomes.counted][outcomes.true_positives]] = False
    order = np.argsort(-np.concatenate([np.zeros(0), *(found.scores for found in detections)]), kind="stable")
    order = order[counted[order]]
    same, other = _neighbours(detections, truths)
    return MatchedSet(
        class_ids=np.concatenate([_NO_NUMBERS, *(found.class_ids for found in detections)])[order],
        true_positives=right[order],
        same=Near(same.iou[order], same.objects[order]),
        other=Near(other.iou[order], other.objects[order]),
        object_classes=np.concatenate([_NO_NUMBERS, *(truth.class_ids for truth in truths)]),
        lost=lost,
        num_objects=np.array([assignment.num_objects for assignment in assignments], np.int64),
    )


def _neighbours(detections: Sequence[Detections], truths: Sequence[Truth]) -> tuple[Near, Near]:
    """Return, for each detection image by image, the nearest object of its class, and of another class."""
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


BACKGROUND_IOU = 0.1
"""A detection that overlaps no object by more has nothing to do with any."""


class ErrorKind(Enum):
    """The kinds in TIDE's order; the value is how reports call them."""

    CLASSIFICATION = "classification"
    LOCALIZATION = "localisation"
    BOTH = "both"
    DUPLICATE = "duplicate"
    BACKGROUND = "background"
    MISSED = "missed"

    @property
    def meaning(self) -> str:
        """Description of the error."""
        return _MEANINGS[self]


_MEANINGS = {
    ErrorKind.CLASSIFICATION: "the box is on an object of another class",
    ErrorKind.LOCALIZATION: "the class is correct, but the box is inaccurate",
    ErrorKind.BOTH: "the box is inaccurate and on an object of another class",
    ErrorKind.DUPLICATE: "the object was already detected with a higher score",
    ErrorKind.BACKGROUND: "there is no object",
    ErrorKind.MISSED: "no detection would match the object even with the correct class or box",
}


@dataclass(frozen=True)
class ErrorCost:
    """One kind of error over a set.

    Attributes:
        count: detections, or for ``MISSED`` objects; of any score, as for the mean AP.
        lost_ap: mean AP that fixing this kind alone would add; None where no object would be left to evaluate on.
    """

    kind: ErrorKind
    count: int
    lost_ap: float | None

    @property
    def points_text(self) -> str:
        """The cost in points, hundredths of mean AP, with two decimals; a dash for none."""
        return "–" if self.lost_ap is None else f"{100 * self.lost_ap + 0.0:.2f}"


def error_costs(detections: Sequence[Detections], truths: Sequence[Truth], accuracy: MeanAp) -> tuple[ErrorCost, ...]:
    """Return the cost of each kind, in the order of :class:`ErrorKind`.

    Args:
        detections: of each image.
        truths: its objects; difficult ones are neither errors nor a reason for one.
        accuracy: the evaluation of these detections; its metric and its overlap are used again.
    """
    found = matched_set(detections, truths, len(accuracy.classes), accuracy.iou_threshold)
    kinds = _kinds(found, accuracy.iou_threshold)
    missed = _missed(found, kinds)

    def lost(after: MatchedSet, wanted: IntArray) -> float | None:
        mean_ap = _mean_ap(after, wanted, accuracy.metric)
        return None if mean_ap is None else mean_ap - accuracy.mean_ap

    costs = {
        kind: ErrorCost(kind, int(np.count_nonzero(chosen)), lost(_fixed(found, kind, chosen), found.num_objects))
        for kind, chosen in kinds.items()
    }
    left = found.num_objects - np.bincount(found.object_classes[missed], minlength=len(found.num_objects))
    costs[ErrorKind.MISSED] = ErrorCost(ErrorKind.MISSED, int(np.count_nonzero(missed)), lost(found, left))
    return tuple(costs[kind] for kind in ErrorKind)


def _kinds(found: MatchedSet, iou_threshold: float) -> dict[ErrorKind, BoolArray]:
    """Return (D,) masks of the wrong detections of each kind, the first whose test holds."""
    same, other = found.same.iou, found.other.iou
    tests = {
        ErrorKind.LOCALIZATION: (same >= BACKGROUND_IOU) & (same < iou_threshold),
        ErrorKind.CLASSIFICATION: other >= iou_threshold,
        ErrorKind.DUPLICATE: same >= iou_threshold,
        ErrorKind.BACKGROUND: np.maximum(same, other) <= BACKGROUND_IOU,
        ErrorKind.BOTH: np.ones(len(same), bool),
    }
    left, masks = ~found.true_positives, {}
    for kind, holds in tests.items():
        masks[kind] = left & holds
        left = left & ~holds
    return masks


def _missed(found: MatchedSet, kinds: Mapping[ErrorKind, BoolArray]) -> BoolArray:
    """Return (G,) the objects that were not found, and that no fixed class or box would find."""
    missed: BoolArray = np.array(found.lost)
    missed[found.other.objects[kinds[ErrorKind.CLASSIFICATION]]] = False
    missed[found.same.objects[kinds[ErrorKind.LOCALIZATION]]] = False
    return missed


def _fixed(found: MatchedSet, kind: ErrorKind, chosen: BoolArray) -> MatchedSet:
    """Return the detections after the oracle of this kind.

    A better class or box makes the best-scored of the ``chosen`` detections of a lost object right; all others go.
    """
    kept, right, class_ids = ~chosen, found.true_positives.copy(), found.class_ids.copy()
    if kind in (ErrorKind.CLASSIFICATION, ErrorKind.LOCALIZATION):
        objects = found.other.objects if kind is ErrorKind.CLASSIFICATION else found.same.objects
        rows = np.flatnonzero(chosen)
        rows = rows[found.lost[objects[rows]]]
        numbers, firsts = np.unique(objects[rows], return_index=True)
        kept[rows[firsts]] = right[rows[firsts]] = True
        class_ids[rows[firsts]] = found.object_classes[numbers]
    return found.replaced(kept, class_ids, right)


def _mean_ap(found: MatchedSet, wanted: IntArray, metric: Metric) -> float | None:
    """Return the mean over the classes with an object to find; None without any."""
    aps = [
        average_precision(metric, *precision_recall(found.true_positives[found.class_ids == class_id], int(count)))
        for class_id, count in enumerate(wanted)
        if count
    ]
    return float(np.mean(aps)) if aps else None
