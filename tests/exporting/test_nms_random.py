from __future__ import annotations

import numpy as np
import pytest

from tests.exporting.nms_graph import LOOP, OPENVINO, OPERATOR, ROUNDS, Shape, assert_equal_to_reference
from tests.exporting.scored_boxes import draw_boxes, draw_scores

# (graph, images): together more than a thousand images of 0 to 3,000 candidates, 1 to 90 classes.
RANDOM = [
    (Shape(boxes=3000, classes=1, candidates=100, rows=100), 120),
    (Shape(boxes=1512, classes=2, candidates=60, rows=20), 160),
    (Shape(boxes=600, classes=8, candidates=150, rows=100, iou_threshold=0.3), 160),
    (Shape(boxes=400, classes=20, candidates=100, rows=50, score_threshold=0.2), 160),
    (Shape(boxes=90, classes=90, candidates=120, rows=30, iou_threshold=0.6), 160),
    (Shape(boxes=40, classes=3, candidates=400, rows=200), 160),
    (Shape(boxes=7, classes=1, candidates=1, rows=1), 60),
    (Shape(boxes=800, classes=5, candidates=400, rows=200, iou_threshold=0.55), 40),
    (Shape(boxes=1000, classes=4, candidates=1500, rows=300), 6),
]

OF_OPENVINO = 30


@pytest.mark.parametrize(("shape", "pictures"), RANDOM)
def test_random_pictures(shape, pictures):
    rng = np.random.default_rng(shape.boxes)
    done = 0
    while done < pictures:
        batch = int(rng.integers(1, 5))
        boxes, scores = draw_boxes(rng, batch, shape.boxes), draw_scores(rng, batch, shape)
        by_openvino = [OPENVINO] if done < OF_OPENVINO else []  # which takes one image at a time
        assert_equal_to_reference(shape, boxes, scores, (LOOP, OPERATOR, ROUNDS, *by_openvino))
        done += batch


def test_more_than_a_thousand_pictures_are_drawn():
    assert sum(pictures for _, pictures in RANDOM) > 1000
