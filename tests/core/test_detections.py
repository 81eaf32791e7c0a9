from __future__ import annotations

import numpy as np

from ssd_edge.core.detections import Detections


def some() -> Detections:
    boxes = np.array([[0, 0, 0.5, 1], [0.25, 0.5, 1, 1]], np.float32)
    return Detections.from_unit_boxes(
        boxes, np.array([0.9, 0.5], np.float32), np.array([2.0, 0.0], np.float32), width=200, height=100
    )


def test_unit_boxes_become_pixels() -> None:
    found = some()
    assert found.boxes.tolist() == [[0, 0, 100, 100], [50, 50, 200, 100]]
    assert found.class_ids.tolist() == [2, 0]
    assert (found.boxes.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int64)


def test_above_is_strict() -> None:
    assert len(some().above(0.5)) == 1
    assert len(some().above(0.49)) == 2
    assert len(some().above(0.95)) == 0


def test_empty_has_the_same_shapes() -> None:
    assert len(Detections.empty()) == 0
    assert Detections.empty().boxes.shape == (0, 4)
