from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_edge.core import boxes

CORNERS = np.array([[0, 0, 4, 2], [2, 0, 6, 2], [1, 1, 1, 5], [9, 9, 8, 8]], np.float32)


def slow_iou(first: list[int], second: list[int]) -> float:
    """Count unit cells: obviously right on integer boxes."""

    def cells(box: list[int]) -> set[tuple[int, int]]:
        return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}

    union = cells(first) | cells(second)
    return len(cells(first) & cells(second)) / len(union) if union else 0.0


def test_area_of_swapped_corners_is_zero() -> None:
    assert boxes.area(CORNERS).tolist() == [8, 8, 0, 0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 6), min_size=4, max_size=4), min_size=2, max_size=6))
def test_iou_equals_counting_cells(rows: list[list[int]]) -> None:
    ordered = [[min(r[0], r[2]), min(r[1], r[3]), max(r[0], r[2]), max(r[1], r[3])] for r in rows]
    found = boxes.iou_matrix(np.array(ordered, np.float32), np.array(ordered, np.float32))
    for i, first in enumerate(ordered):
        for j, second in enumerate(ordered):
            assert found[i, j] == pytest.approx(slow_iou(first, second), abs=1e-6)


def test_a_box_that_is_no_number_overlaps_nothing() -> None:
    strange = np.array([[np.nan, 0, 4, 2], [0, 0, 4, 2]], np.float32)
    assert boxes.iou_matrix(strange, CORNERS[:1]).tolist() == [[0], [1]]


def test_overlaps_of_many_boxes_need_few_arrays_of_their_size() -> None:
    many = np.tile(CORNERS[:2], (500, 1))
    tracemalloc.start()
    found = boxes.iou_matrix(many, many)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * found.nbytes


def test_forms_are_inverse() -> None:
    centers = boxes.center_form(CORNERS[:3])
    assert centers[0].tolist() == [2, 1, 4, 2]
    assert boxes.corner_form(centers).tolist() == CORNERS[:3].tolist()


def test_clip_cuts_at_the_edges() -> None:
    assert boxes.clip(CORNERS, width=5, height=1).tolist()[1] == [2, 0, 5, 1]
