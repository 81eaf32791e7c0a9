"""Plain geometry of boxes: (N, 4) arrays, x1 y1 x2 y2 unless a name says otherwise."""

from __future__ import annotations

import numpy as np

from ssd_edge.core.frame import FloatArray


def area(boxes: FloatArray) -> FloatArray:
    """Return (N,) areas; a box whose corners are swapped has area 0."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def iou_matrix(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the (N, M) intersection over union of every pair; 0 where the union is empty."""
    intersection = _shared(first, second, axis=0)
    intersection *= _shared(first, second, axis=1)
    union = area(first)[:, None] + area(second)[None, :]
    union -= intersection
    is_something = union > 0
    np.divide(intersection, union, out=intersection, where=is_something)
    intersection[~is_something] = 0
    return intersection


def _shared(first: FloatArray, second: FloatArray, *, axis: int) -> FloatArray:
    """The (N, M) lengths that every pair shares along x (0) or y (1); few large arrays, for training matches often."""
    shared = np.minimum(first[:, axis + 2, None], second[None, :, axis + 2])
    shared -= np.maximum(first[:, axis, None], second[None, :, axis])
    return np.maximum(shared, 0, out=shared)


def center_form(boxes: FloatArray) -> FloatArray:
    """Turn x1 y1 x2 y2 into cx cy w h."""
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def corner_form(boxes: FloatArray) -> FloatArray:
    """Turn cx cy w h into x1 y1 x2 y2."""
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


def clip(boxes: FloatArray, *, width: float, height: float) -> FloatArray:
    """Return the boxes cut off at the edges of a ``width`` x ``height`` image."""
    limit = np.array([width, height, width, height], dtype=boxes.dtype)
    return np.asarray(np.clip(boxes, 0, limit))
