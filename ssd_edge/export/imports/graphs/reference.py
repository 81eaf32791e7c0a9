"""A foreign graph's answers worked out by hand in numpy: the equations of the paper and the textbook's greedy NMS."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ssd_edge.core.boxes import corner_form, iou_matrix
from ssd_edge.core.frame import FloatArray, IntArray
from ssd_edge.core.spec import BoxCoding, NmsSpec


class Found(NamedTuple):
    """Detections of one picture, best first: boxes (K, 4) in 0..1, scores (K,), class_ids (K,)."""

    boxes: FloatArray
    scores: FloatArray
    class_ids: IntArray


def softmax(logits: FloatArray) -> FloatArray:
    """Return probabilities over the last axis, in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def decode(offsets: FloatArray, anchors: FloatArray, coding: BoxCoding) -> FloatArray:
    """Return (N, 4) x1 y1 x2 y2 from offsets and default boxes cx cy w h (SSD, equation 2), in float64."""
    steps = offsets.astype(np.float64) * coding.variances
    centres = anchors[:, :2] + steps[:, :2] * anchors[:, 2:]
    sides = anchors[:, 2:] * np.exp(np.minimum(steps[:, 2:], coding.max_log_scale))
    return corner_form(np.concatenate([centres, sides], axis=1))


def greedy_nms(boxes: FloatArray, scores: FloatArray, nms: NmsSpec) -> Found:
    """Return the detections among the ``max_candidates`` best pairs of boxes (N, 4) and scores (N, C), in float32.

    Equal scores rank by the lower box, then the lower class.
    """
    order = np.argsort(-scores.ravel(), kind="stable")[: nms.max_candidates]
    order = order[scores.ravel()[order] > np.float32(nms.score_threshold)]
    box_ids, class_ids = order // scores.shape[1], order % scores.shape[1]
    overlaps = iou_matrix(boxes[box_ids], boxes[box_ids]) > np.float32(nms.iou_threshold)
    rivals = overlaps & (class_ids[:, None] == class_ids)
    kept: list[int] = []
    for candidate in range(len(order)):
        if not rivals[candidate, kept].any():
            kept.append(candidate)
    best = np.array(kept[: nms.keep_top_k], np.int64)
    return Found(boxes[box_ids[best]], scores.ravel()[order[best]], class_ids[best])
