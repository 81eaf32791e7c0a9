"""The order of a box's four numbers in a foreign graph, by hand and as nodes of a graph."""

from __future__ import annotations

import numpy as np

from ssd_edge.core.choices import BoxLayout
from ssd_edge.core.frame import FloatArray
from ssd_edge.graph.editor import Steps


def corners_by_hand(boxes: FloatArray, layout: BoxLayout) -> FloatArray:
    """Return (N, 4) x1 y1 x2 y2 from boxes of a layout, in float64."""
    first, second = boxes.astype(np.float64)[:, :2], boxes.astype(np.float64)[:, 2:]
    if layout is BoxLayout.YXYX:
        return np.concatenate([first[:, ::-1], second[:, ::-1]], axis=1)
    if layout is BoxLayout.XYWH:
        return np.concatenate([first, first + second], axis=1)
    if layout is BoxLayout.CXCYWH:
        return np.concatenate([first - second / 2, first + second / 2], axis=1)
    return boxes


def add_corners(steps: Steps, boxes: str, layout: BoxLayout) -> str:
    """Add what turns (B, N, 4) boxes of a layout into x1 y1 x2 y2; return the name of these."""
    if layout is BoxLayout.XYXY:
        return boxes
    if layout is BoxLayout.YXYX:
        order = steps.constant("x_before_y", [1, 0, 3, 2], np.int64)
        return steps.add("Gather", [boxes, order], "corner_boxes", axis=2)
    halves = steps.constant("place_and_size", [2, 2], np.int64)
    steps.add("Split", [boxes, halves], "box_places", "box_sizes", name="place_and_size_of_boxes", axis=2)
    if layout is BoxLayout.XYWH:
        ends = ["box_places", steps.add("Add", ["box_places", "box_sizes"], "box_ends")]
    else:
        reach = steps.add("Mul", ["box_sizes", steps.constant("half", 0.5)], "box_reach")
        ends = [steps.add(kind, ["box_places", reach], name) for kind, name in (("Sub", "starts"), ("Add", "ends"))]
    return steps.add("Concat", ends, "corner_boxes", axis=2)
