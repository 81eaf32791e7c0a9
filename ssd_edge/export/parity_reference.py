"""Which detections a graph must give, and which it may, when its numbers differ from PyTorch's in the last digits.

The graph looks at the M best (box, class) pairs of a picture and returns K rows. By the theorem in
:mod:`ssd_edge.export.nms_function` its detections are the prefix of those of full NMS, down to the M-th best score.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ssd_edge.core.frame import FloatArray
from ssd_edge.core.spec import NmsSpec
from ssd_edge.model.suppression import suppress

_IOU_MARGIN = 1e-4  # overlaps nearer to the threshold than this may fall on either side of it
_ROOM = 2  # times the candidates of the graph, for those that tie with its last one


@dataclass(frozen=True)
class Reference:
    """What full per-class NMS finds in one picture.

    Attributes:
        rows: (N, 6) x1 y1 x2 y2 in 0..1, score, class of all detections that the graph may give.
        certain: (N,) those that it must give: no threshold or limit is near.
        last_score: of the last candidate that the graph looks at; 0 where it looks at all above the threshold.
    """

    rows: FloatArray
    certain: npt.NDArray[np.bool_]
    last_score: float


def reference_of(boxes: Tensor, scores: Tensor, nms: NmsSpec, tolerance: float) -> Reference:
    """Return the reference of one picture: boxes (A, 4), scores (A, C).

    A detection is certain when full NMS gives it with the IoU threshold as it is, a little lower and a little higher,
    and when it scores by more than ``tolerance`` above the score threshold and the last place of both limits.
    """
    nth_best = _nth_best(scores, nms.max_candidates)
    floor = max(nms.score_threshold, nth_best)
    lowered = dataclasses.replace(
        nms,
        score_threshold=max(0.0, floor - tolerance),
        top_k=_ROOM * nms.max_candidates,
        keep_top_k=scores.numel(),
    )
    found = [_full_nms(boxes, scores, lowered, nms.iou_threshold + margin) for margin in (0, -_IOU_MARGIN, _IOU_MARGIN)]
    rows, times_found = np.unique(np.concatenate(found), axis=0, return_counts=True)
    last_place = max(floor, _nth_row(found[0], nms.keep_top_k))
    certain = (times_found == len(found)) & (rows[:, 4] > last_place + tolerance)
    return Reference(rows, certain, nth_best if nth_best > nms.score_threshold else 0.0)


def _full_nms(boxes: Tensor, scores: Tensor, nms: NmsSpec, iou_threshold: float) -> FloatArray:
    found = suppress(boxes, scores, dataclasses.replace(nms, iou_threshold=iou_threshold))
    return np.asarray(torch.column_stack([part.float() for part in found]).numpy(), np.float32)


def _nth_best(scores: Tensor, count: int) -> float:
    """Return the score of the last candidate that the graph looks at; 0 where it looks at all."""
    return float(scores.flatten().topk(count).values[-1]) if scores.numel() > count else 0.0


def _nth_row(rows: FloatArray, count: int) -> float:
    """Return the score of the first detection that the graph has no row for; 0 where all fit."""
    return float(rows[count, 4]) if len(rows) > count else 0.0
