"""Length of suppression chains in real images, counted at export to choose the rounds of an engine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.frame import FloatArray
from ssd_edge.core.spec import NmsSpec


def rounds_needed(boxes: FloatArray, scores: FloatArray, nms: NmsSpec) -> int:
    """Return after how many rounds ``keep <- valid and not (keep @ suppresses)`` stands still in one image.

    Args:
        boxes: (N, 4) corners in 0..1.
        scores: (N, C).
        nms: thresholds, and how many of the best (box, class) pairs are looked at.
    """
    flat = scores.ravel()
    order = np.argsort(-flat, kind="stable")[: nms.max_candidates]
    ranked = order[flat[order] > np.float32(nms.score_threshold)]
    box, label = np.divmod(ranked, scores.shape[1])
    return max((_rounds(boxes[box[label == one]], nms.iou_threshold) for one in np.unique(label)), default=0)


def _rounds(ranked: FloatArray, iou_threshold: float) -> int:
    """Return the rounds of the (M, 4) boxes of one class, best first."""
    suppresses = np.triu(iou_matrix(ranked, ranked) > np.float32(iou_threshold), 1)
    kept: npt.NDArray[np.bool_] = np.ones(len(ranked), np.bool_)
    count = 0  # never more than the boxes: each round settles the best of those that are not settled
    while not np.array_equal(settled := ~(suppresses & kept[:, None]).any(axis=0), kept):
        kept, count = settled, count + 1
    return count
