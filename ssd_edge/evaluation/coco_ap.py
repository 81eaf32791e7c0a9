"""Average precision and recall as COCO defines them, counted by ``faster-coco-eval``.

The definition is that of pycocotools (``COCOeval.summarize``): precision at 101 recalls, the mean of ten overlaps from
0.50 to 0.95, at most 100 detections of an image and class; areas below 32², to 96² and above. An object that is
difficult, and so a COCO crowd, is given as ``iscrowd``: never wanted, and whatever lies on it is not wrong. An object
is as large as its labels say, in COCO's own files the area of the outline; a detection is as large as its box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError, MissingPackageError
from ssd_edge.core.sample import UNKNOWN_CLASS
from ssd_edge.evaluation.matching import Float64Array, Truth

_ALL_AREAS, _MOST_DETECTIONS = 0, -1


class SizedTruth(Truth, Protocol):
    """The objects that are really in an image, and their sizes; ``data.Sample`` is one."""

    @property
    def areas(self) -> Float64Array:
        """(N,) pixels that each object covers, as labelled."""


class CocoNumbers(NamedTuple):
    """The twelve numbers of ``COCOeval.summarize``, in its order.

    None stands where the set has no object of that size that must be found (COCO's -1). ``ar_1``, ``ar_10`` and
    ``ar_100`` are recalls with at most that many detections of an image and class.
    """

    ap: float | None
    ap_50: float | None
    ap_75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar_1: float | None
    ar_10: float | None
    ar_100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None


@dataclass(frozen=True)
class CocoAp:
    """Evaluation of a whole set: the numbers, and each class's AP, None where it has no object to find."""

    numbers: CocoNumbers
    classes: dict[str, float | None]


def coco_average_precision(
    detections: Sequence[Detections], truths: Sequence[SizedTruth], class_names: Sequence[str]
) -> CocoAp:
    """Evaluate the detections of each image against its objects; class ids number ``class_names``.

    Raises:
        InputError: no image has an object that must be found.
        MissingPackageError: ``faster-coco-eval`` is not installed.
    """
    require_coco()
    from faster_coco_eval import COCO, COCOeval_faster

    if all(truth.difficult.all() for truth in truths):
        raise InputError("the images have no objects to evaluate", wanted="at least one object that is not difficult")
    truth_set = COCO(truth_document(truths, class_names))
    evaluator = COCOeval_faster(
        truth_set, truth_set.loadRes(detection_list(detections)), iouType="bbox", print_function=_silent
    )
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    numbers = CocoNumbers(*(_known(value) for value in evaluator.stats[:12]))
    return CocoAp(numbers, _class_aps(np.asarray(evaluator.eval["precision"], np.float64), class_names))


def require_coco() -> None:
    """Raise MissingPackageError where COCO's numbers cannot be counted here; say so before hours of detecting."""
    try:
        import faster_coco_eval  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            "COCO AP needs the package faster-coco-eval",
            got=str(error),
            do="Install it: pip install 'ssd-edge[eval]', or evaluate without --coco.",
        ) from error


def truth_document(truths: Sequence[SizedTruth], class_names: Sequence[str]) -> dict[str, Any]:
    """Return the objects as a COCO instances document; the ids of images, classes and objects begin at 1.

    An object of an unknown class is a crowd of every class.
    """
    annotations: list[dict[str, Any]] = []
    for image_id, truth in enumerate(truths, start=1):
        labels = (truth.class_ids.tolist(), truth.difficult.tolist(), truth.areas.tolist())
        for box, class_id, difficult, area in zip(_xywh(truth.boxes), *labels, strict=True):
            for category in range(len(class_names)) if class_id == UNKNOWN_CLASS else (class_id,):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": category + 1,
                        "bbox": box,
                        "area": area,
                        "iscrowd": int(difficult),
                    }
                )
    return {
        "info": {},
        "images": [{"id": image_id} for image_id in range(1, len(truths) + 1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(class_names, start=1)],
    }


def detection_list(detections: Sequence[Detections]) -> list[dict[str, Any]]:
    """Return the detections as a COCO results list, with the ids of :func:`truth_document`."""
    return [
        {"image_id": image_id, "category_id": class_id + 1, "bbox": box, "score": score}
        for image_id, found in enumerate(detections, start=1)
        for box, score, class_id in zip(
            _xywh(found.boxes), found.scores.tolist(), found.class_ids.tolist(), strict=True
        )
    ]


def _xywh(boxes: np.ndarray[Any, np.dtype[np.float32]]) -> list[list[float]]:
    corners: Float64Array = boxes.astype(np.float64)
    rows: list[list[float]] = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]).tolist()
    return rows


def _class_aps(precision: Float64Array, class_names: Sequence[str]) -> dict[str, float | None]:
    """Return each class's mean of (overlaps, recalls, classes, areas, limits) over overlaps and recalls."""
    found = precision[:, :, :, _ALL_AREAS, _MOST_DETECTIONS].mean(axis=(0, 1))
    return {name: _known(value) for name, value in zip(class_names, found, strict=True)}


def _known(value: float) -> float | None:
    return None if value < 0 else float(value)


def _silent(*_: object) -> None:
    """Say nothing: the table is ours to print."""
