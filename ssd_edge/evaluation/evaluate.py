"""Run any detector over labelled images, and measure its accuracy and time: a checkpoint, an ONNX, an engine alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssd_edge.core.choices import Metric
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import IntArray, UInt8Array
from ssd_edge.core.images import read_image
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.log import log
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.timing import Stopwatch
from ssd_edge.core.tolerance import TOLERANT, Tolerance
from ssd_edge.evaluation.coco_ap import CocoAp
from ssd_edge.evaluation.matching import Float64Array
from ssd_edge.evaluation.mean_ap import MeanAp, mean_average_precision
from ssd_edge.evaluation.tide_errors import ErrorCost

Detect = Callable[[UInt8Array], Detections]

_NOT_EVALUATED = -1


@dataclass(frozen=True)
class Evaluation:
    """Accuracy and speed of one detector on one data set.

    Attributes:
        detections: one entry an image of the set; class ids number the set's classes.
        detect_ms: (N,) milliseconds of each call, from the image in memory to its detections.
        classes_not_evaluated: classes that the model knows and the set does not; their detections are left out.
        labelled: the images that it was evaluated on, without those that cannot be read; None where that is not kept.
    """

    accuracy: MeanAp
    detections: tuple[Detections, ...]
    detect_ms: Float64Array
    classes_not_evaluated: tuple[str, ...]
    labelled: LabelledSet | None = None

    @property
    def median_ms(self) -> float:
        """Median time of one image."""
        return float(np.median(self.detect_ms))

    @property
    def p95_ms(self) -> float:
        """Time that 95 of 100 images need at most."""
        return float(np.percentile(self.detect_ms, 95))

    @property
    def fps(self) -> float:
        """Images in a second at the median time, one after the other."""
        return 1000 / self.median_ms


@dataclass(frozen=True)
class EvaluatedModel:
    """One model file and how it did.

    Attributes:
        label: what reports call it.
        path: the file.
        evaluation: its accuracy, detections and times.
        errors: what each kind of error costs; empty where that was not asked for.
        coco: COCO's numbers; None where they were not asked for.
        calibrated_images: how many of the images INT8 was calibrated with, which makes the accuracy too optimistic;
            None if unknown.
    """

    label: str
    path: Path
    evaluation: Evaluation
    errors: tuple[ErrorCost, ...] = ()
    coco: CocoAp | None = None
    calibrated_images: int | None = None


def evaluate(
    detect: Detect,
    class_names: Sequence[str],
    labelled: LabelledSet,
    *,
    metric: Metric = Metric.VOC,
    iou_threshold: float = 0.5,
    tolerance: Tolerance = TOLERANT,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate ``detect``, whose class ids number ``class_names``, on every image of the set that can be read.

    Classes are matched by name, so their order may differ. The first image is detected once more beforehand, so that
    no start-up cost is in the times. Images that cannot be read are left out and named.

    Raises:
        InputError: the set has no image or no object, too many images cannot be read, or the detector lacks a class.
    """
    numbers = class_numbers(class_names, labelled)
    if not labelled.samples:
        raise InputError(f"{labelled.origin} contains no images", wanted="at least one image")
    found, watch, unreadable = list[Detections](), Stopwatch(), dict[Path, InputError]()
    for done, sample in enumerate(labelled.samples, start=1):
        try:
            image = read_image(sample.image)
        except InputError as error:
            unreadable[sample.image] = error
            _check_few(unreadable, labelled, tolerance)
            continue
        if not found:
            detect(image)
        with watch:
            detections = detect(image)
        found.append(renumbered(detections, numbers))
        progress(done, len(labelled.samples))
    labelled = _without(labelled, unreadable)
    return Evaluation(
        accuracy=mean_average_precision(
            found, labelled.samples, labelled.class_names, metric=metric, iou_threshold=iou_threshold
        ),
        detections=tuple(found),
        detect_ms=np.array(watch.timing.times_ms),
        classes_not_evaluated=tuple(name for name in class_names if name not in labelled.class_names),
        labelled=labelled,
    )


def _check_few(unreadable: Mapping[Path, InputError], labelled: LabelledSet, tolerance: Tolerance) -> None:
    """Name the image that could not be read last; refuse more of them than are tolerated."""
    error = list(unreadable.values())[-1]
    if tolerance.strict or len(unreadable) > tolerance.max_bad * len(labelled.samples):
        raise error
    log.warning(f"{error}; it is left out")


def _without(labelled: LabelledSet, unreadable: Mapping[Path, InputError]) -> LabelledSet:
    """Return the set without images that cannot be read."""
    if not unreadable:
        return labelled
    samples = tuple(sample for sample in labelled.samples if sample.image not in unreadable)
    lost = tuple(
        LeftOut(str(image), error.what.removeprefix(str(image)).strip()) for image, error in unreadable.items()
    )
    return replace(labelled, samples=samples, left_out=labelled.left_out + lost)


def class_numbers(class_names: Sequence[str], labelled: LabelledSet) -> IntArray:
    """Return (C,) the set's number of each of the detector's classes; -1 for a class that the set does not have.

    Raises:
        InputError: the detector lacks a class of the set.
    """
    missing = [name for name in labelled.class_names if name not in class_names]
    if missing:
        raise InputError(
            f"the model does not have the classes {', '.join(map(repr, missing))} of {labelled.origin}",
            got=f"a model with the classes {', '.join(class_names)}",
            wanted=f"a model with the classes {', '.join(labelled.class_names)}",
            do="Evaluate the model on images labelled with its classes, or train a model on these images.",
        )
    numbers = {name: number for number, name in enumerate(labelled.class_names)}
    return np.array([numbers.get(name, _NOT_EVALUATED) for name in class_names], np.int64)


def renumbered(detections: Detections, numbers: IntArray) -> Detections:
    """Return the detections with each class id replaced by ``numbers[id]``, without those that become -1."""
    class_ids = numbers[detections.class_ids]
    kept = class_ids != _NOT_EVALUATED
    return Detections(detections.boxes[kept], detections.scores[kept], class_ids[kept])
