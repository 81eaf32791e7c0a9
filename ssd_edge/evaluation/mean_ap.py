"""Mean average precision as Pascal VOC defines it: area under the precision envelope, or the 11 points of VOC2007.

The rules are the devkit's (VOCevaldet.m, VOCap.m): overlap of at least the threshold; each object found once;
difficult objects neither wanted nor wrong; a class that has no object left has no AP and is not in the mean. One thing
differs: boxes are continuous (a box from 0 to 10 is 10 wide), where the devkit adds a pixel to every side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssd_edge.core.choices import Metric
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray
from ssd_edge.evaluation.matching import Assignment, BoolArray, Float64Array, Truth, assign, match

COCO_THRESHOLDS = tuple((50 + 5 * step) / 100 for step in range(10))


class OperatingPoint(NamedTuple):
    """Precision, recall and F1 (their harmonic mean) of detections above a score threshold."""

    score: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ClassAp:
    """One class.

    Attributes:
        ap: average precision; None where the set has no object of the class that must be found.
        objects: number of objects that must be found.
        difficult: number of objects that need not.
        scores, precision, recall: (D,) the curve, one point a detection, best first; recall is 0 without objects.
    """

    name: str
    ap: float | None
    objects: int
    difficult: int
    scores: FloatArray
    precision: Float64Array
    recall: Float64Array

    @property
    def ap_text(self) -> str:
        """The AP with three decimals; a dash for none."""
        return "–" if self.ap is None else f"{self.ap:.3f}"

    def at_score(self, threshold: float) -> tuple[float | None, float | None]:
        """Return precision and recall of the detections that score ``threshold`` or more.

        Without such a detection there is no precision, without an object to find no recall: None.
        """
        kept = int(np.count_nonzero(self.scores >= np.float32(threshold)))
        precision = float(self.precision[kept - 1]) if kept else None
        recall = float(self.recall[kept - 1]) if kept else 0.0
        return precision, recall if self.objects else None

    @property
    def best_f1(self) -> OperatingPoint | None:
        """The score threshold with the highest F1, the highest of equals; None where nothing was found.

        The threshold lies half-way between the last score that it lets in and the next, so that rounding moves nothing.
        """
        ends = np.flatnonzero(np.diff(self.scores, append=-1.0))  # equal scores come in together
        precision, recall = self.precision[ends], self.recall[ends]
        if not self.objects or not precision.any():
            return None
        f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
        best = int(f1.argmax())
        following = np.append(self.scores[ends], 0.0)[best + 1]
        threshold = (float(self.scores[ends[best]]) + float(following)) / 2
        return OperatingPoint(threshold, float(precision[best]), float(recall[best]), float(f1[best]))


@dataclass(frozen=True)
class MeanAp:
    """Evaluation of a whole set.

    Attributes:
        mean_ap: mean over the classes that have objects, at ``iou_threshold``.
        mean_ap_50_95: mean over the thresholds .50, .55 … .95 too, with the same metric (COCO's own AP samples the
            curve at 101 recalls and assigns objects differently, so it is near this number, not equal).
        classes: in the order of the class names.
    """

    metric: Metric
    iou_threshold: float
    mean_ap: float
    mean_ap_50_95: float
    classes: tuple[ClassAp, ...]


def mean_average_precision(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    class_names: Sequence[str],
    *,
    metric: Metric = Metric.VOC,
    iou_threshold: float = 0.5,
) -> MeanAp:
    """Evaluate the detections of each image against its objects; class ids number ``class_names``.

    Raises:
        InputError: no image has an object that must be found.
    """
    assignments = assign(detections, truths, len(class_names))
    present = [assignment for assignment in assignments if assignment.num_objects]
    if not present:
        raise InputError(
            "the images have no objects to evaluate",
            got=f"{len(truths)} images",
            wanted="at least one object that is not difficult",
        )
    classes = tuple(
        _class_ap(name, assignment, metric, iou_threshold)
        for name, assignment in zip(class_names, assignments, strict=True)
    )
    strict = [_ap(assignment, metric, threshold) for assignment in present for threshold in COCO_THRESHOLDS]
    return MeanAp(
        metric=metric,
        iou_threshold=iou_threshold,
        mean_ap=float(np.mean([entry.ap for entry in classes if entry.ap is not None])),
        mean_ap_50_95=float(np.mean(strict)),
        classes=classes,
    )


def average_precision(metric: Metric, precision: Float64Array, recall: Float64Array) -> float:
    """Return the metric's one number for a curve."""
    return {Metric.VOC: area_under_envelope, Metric.VOC07: eleven_points}[metric](precision, recall)


def precision_recall(right: BoolArray, num_objects: int) -> tuple[Float64Array, Float64Array]:
    """Return (D,) precision and (D,) recall after each of the (D,) detections, best first."""
    found = np.cumsum(right)
    return found / np.arange(1, len(found) + 1), found / max(num_objects, 1)


def area_under_envelope(precision: Float64Array, recall: Float64Array) -> float:
    """Return the area under the curve made monotonic: at each recall the best precision from there on (VOC2010)."""
    steps = np.diff(np.concatenate([[0.0], recall]))
    return float(np.sum(steps * _envelope(precision)))


def eleven_points(precision: Float64Array, recall: Float64Array) -> float:
    """Return the mean of the best precision at recall 0, 0.1 … 1 or more (VOC2007); 0 where none gets there."""
    levels = np.arange(11) / 10
    best = np.concatenate([_envelope(precision), [0.0]])
    return float(np.mean(best[np.searchsorted(recall, levels, side="left")]))


def _class_ap(name: str, assignment: Assignment, metric: Metric, iou_threshold: float) -> ClassAp:
    outcomes = match(assignment, iou_threshold)
    precision, recall = precision_recall(outcomes.true_positives, assignment.num_objects)
    return ClassAp(
        name=name,
        ap=average_precision(metric, precision, recall) if assignment.num_objects else None,
        objects=assignment.num_objects,
        difficult=assignment.num_difficult,
        scores=outcomes.scores,
        precision=precision,
        recall=recall,
    )


def _ap(assignment: Assignment, metric: Metric, iou_threshold: float) -> float:
    true_positives = match(assignment, iou_threshold).true_positives
    return average_precision(metric, *precision_recall(true_positives, assignment.num_objects))


def _envelope(precision: Float64Array) -> Float64Array:
    return np.asarray(np.maximum.accumulate(precision[::-1])[::-1])
