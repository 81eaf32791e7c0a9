"""Two lists of detections, matched one to one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ssd_edge.core.detections import Detections

BOX_TOLERANCE, SCORE_TOLERANCE = 0.5, 1e-3


class Difference(NamedTuple):
    """How far two lists of detections are apart.

    Attributes:
        count: detections in each.
        classes: that occur.
        box: greatest distance of a coordinate, in pixels.
        score: greatest distance of a score.
    """

    count: int
    classes: int
    box: float
    score: float


def difference(got: Detections, wanted: Detections) -> Difference:
    """Return the distance of two lists of the same length; every detection meets one of its class within tolerance.

    Raises:
        AssertionError: another number of detections, or one that nothing meets.
    """
    assert len(got) == len(wanted), f"{len(got)} detections instead of {len(wanted)}"
    free = np.ones(len(got), bool)
    worst_box = worst_score = 0.0
    for box, score, class_id in zip(wanted.boxes, wanted.scores, wanted.class_ids, strict=True):
        boxes, scores = np.abs(got.boxes - box).max(axis=1), np.abs(got.scores - score)
        alike = free & (got.class_ids == class_id) & (boxes <= BOX_TOLERANCE) & (scores <= SCORE_TOLERANCE)
        assert alike.any(), f"nothing meets class {class_id}, score {score:.4f}, box {box.round(2).tolist()}"
        place = int(np.where(alike, boxes, np.inf).argmin())
        free[place] = False
        worst_box, worst_score = max(worst_box, float(boxes[place])), max(worst_score, float(scores[place]))
    return Difference(len(got), len(set(wanted.class_ids.tolist())), worst_box, worst_score)
