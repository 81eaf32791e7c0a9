"""Greedy NMS as the textbook tells it: plain Python over numpy scalars' rows, slow and obviously right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Kept:
    """One detection: which (box, class) pair, and its score."""

    box: int
    class_id: int
    score: np.float32


def greedy_nms(boxes, scores, *, score_threshold, iou_threshold, max_candidates=None) -> list[Kept]:
    """Return all detections of one image, best first: boxes (N, 4), scores (N, C)."""
    kept: list[Kept] = []
    for candidate in _best_pairs(scores, np.float32(score_threshold), max_candidates):
        rivals = [other.box for other in kept if other.class_id == candidate.class_id]
        overlaps = _overlaps(boxes[candidate.box], boxes[rivals])
        if not (overlaps > np.float32(iou_threshold)).any():
            kept.append(candidate)
    return kept


def _best_pairs(scores, score_threshold, max_candidates) -> list[Kept]:
    """Pairs that score more than the threshold, best first, the lower flat index first among equals."""
    flat = scores.ravel()
    passing = np.flatnonzero(flat > score_threshold)
    order = sorted(passing.tolist(), key=lambda pair: (-flat[pair], pair))[:max_candidates]
    return [Kept(pair // scores.shape[1], pair % scores.shape[1], flat[pair]) for pair in order]


def _overlaps(box, others):
    """IoU of one box with each of (R, 4) in float32; 0 where both have no area."""
    width = np.maximum(np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0]), 0)
    height = np.maximum(np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1]), 0)
    common = width * height
    union = _area(box[None]) + _area(others) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def _area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def as_outputs(kept: list[Kept], boxes, rows: int):
    """Lay the best ``rows`` of them out as one image's four outputs of the graph contract."""
    best = kept[:rows]
    out_boxes, out_scores = np.zeros((rows, 4), np.float32), np.zeros(rows, np.float32)
    out_classes = np.full(rows, -1, np.float32)
    for row, detection in enumerate(best):
        out_boxes[row], out_scores[row] = boxes[detection.box], detection.score
        out_classes[row] = detection.class_id
    return np.array([len(best)], np.int32), out_boxes, out_scores, out_classes
