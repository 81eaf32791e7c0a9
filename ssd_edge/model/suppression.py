"""Greedy non-maximum suppression per class with PyTorch, as torchvision's detectors do it."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

from ssd_edge.core.spec import NmsSpec


def suppress(boxes: Tensor, scores: Tensor, spec: NmsSpec) -> tuple[Tensor, Tensor, Tensor]:
    """Return (boxes, scores, class ids) of the detections of one picture, best first.

    Each class keeps its ``top_k`` best boxes that score more than the threshold and suppresses those that overlap a
    better one by more than the IoU threshold; of what is left the picture keeps the ``keep_top_k`` best. Equal scores
    keep the order of classes, then of default boxes.

    Args:
        boxes: (A, 4) x1 y1 x2 y2.
        scores: (A, C) of the real classes.
        spec: the limits; ``max_candidates`` plays no part here.
    """
    kept = [_suppress_class(boxes, column, spec) for column in scores.unbind(dim=1)]
    anchors = torch.cat(kept)
    class_ids = torch.cat([torch.full_like(indices, class_id) for class_id, indices in enumerate(kept)])
    found = scores[anchors, class_ids]
    best = found.argsort(descending=True, stable=True)[: spec.keep_top_k]
    return boxes[anchors[best]], found[best], class_ids[best]


def _suppress_class(boxes: Tensor, scores: Tensor, spec: NmsSpec) -> Tensor:
    """Return the indices of the default boxes that one class keeps, best first."""
    candidates = torch.nonzero(scores > spec.score_threshold).squeeze(1)
    order = scores[candidates].argsort(descending=True, stable=True)[: spec.top_k]
    candidates = candidates[order]
    survivors: Tensor = nms(boxes[candidates], scores[candidates], spec.iou_threshold)
    return candidates[survivors]
