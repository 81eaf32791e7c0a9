"""Compares what two contestants detect: their times are comparable only if they did the same work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.frame import FloatArray

SAME_IOU, SAME_SCORE = 0.8, 0.05

Found = Mapping[str, Any]
"""Of one image, as a worker gives it: ``boxes``, ``scores`` and ``class_ids``, best first, and their ``count``."""


def agreement(reference: Sequence[Found], other: Sequence[Found]) -> float | None:
    """Return the share of the reference's detections that the other has too; None where there are none.

    The same is a detection of the same class whose box overlaps by 0.8 and whose score is within 0.05.
    """
    wanted = sum(len(image["scores"]) for image in reference)
    if wanted == 0:
        return None
    return sum(_shared(first, second) for first, second in zip(reference, other, strict=True)) / wanted


def _shared(first: Found, second: Found) -> int:
    if not first["scores"] or not second["scores"]:
        return 0
    overlap = iou_matrix(_boxes(first), _boxes(second)) >= SAME_IOU
    label = np.equal.outer(np.asarray(first["class_ids"]), np.asarray(second["class_ids"]))
    score = np.abs(np.subtract.outer(np.asarray(first["scores"]), np.asarray(second["scores"]))) <= SAME_SCORE
    return int((overlap & label & score).any(axis=1).sum())


def _boxes(found: Found) -> FloatArray:
    return np.asarray(found["boxes"], np.float32).reshape(-1, 4)
