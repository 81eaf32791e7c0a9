"""Anchor recall: the share of labelled objects that training can match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssd_edge.core.boxes import area
from ssd_edge.core.frame import FloatArray
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.spec import AnchorLevel, AnchorSpec
from ssd_edge.data.image_size import image_size

MATCH_IOU = 0.5
"""A anchor learns an object that it overlaps by this much (SSD, section 2.2)."""

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AnchorRecall:
    """Anchor recall of some objects.

    Attributes:
        objects: how many were looked at.
        recall: share of them that an anchor overlaps by ``MATCH_IOU`` or more; 1 where there is none.
        mean_iou: mean over the objects of the IoU with their best anchor; 1 where there is none.
    """

    objects: int
    recall: float
    mean_iou: float

    @classmethod
    def of(cls, overlaps: FloatArray | Float64Array) -> AnchorRecall:
        """Summarize the (N,) IoUs of objects with their best anchors."""
        if len(overlaps) == 0:
            return cls(0, 1.0, 1.0)
        return cls(len(overlaps), float((overlaps >= MATCH_IOU).mean()), float(overlaps.mean()))


def unit_boxes(labelled: LabelledSet, sizes: Mapping[Path, tuple[int, int]] | None = None) -> FloatArray:
    """Return (N, 4) x1 y1 x2 y2 of all objects that are trained, in 0..1 of their images, cut off at the edges.

    Fractions of the image are fractions of the network's input, for an image is stretched to it. Objects that lie
    outside of their image are left out, and those that are difficult.

    Args:
        labelled: the images.
        sizes: (width, height) of those that can be read, where they are known already; the others are left out.

    Raises:
        InputError: the size of an image cannot be read.
    """
    found = [np.zeros((0, 4), np.float32)]
    for sample in labelled.samples:
        if not sample.difficult.all():
            width, height = image_size(sample.image) if sizes is None else sizes.get(sample.image, (0, 0))
            if width == 0:
                continue
            scale = np.array([width, height] * 2, np.float32)
            found.append(np.asarray(sample.boxes[~sample.difficult] / scale, np.float32))
    boxes = np.concatenate(found).clip(0, 1).astype(np.float32)
    return np.asarray(boxes[area(boxes) > 0])


def best_overlaps(boxes: FloatArray, anchors: AnchorSpec) -> Float64Array:
    """Return the (N,) IoU of each object with the best of all anchors, where they really lie.

    Of the anchors of one size on one map the best is that whose center is nearest in x and in y: the overlap
    falls with either distance. So N x (sizes) pairs suffice, whatever the number of cells.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in 0..1.
        anchors: with levels, not with an imported graph's table.
    """
    best = np.zeros(len(boxes))
    for level in anchors.levels:
        best = np.maximum(best, _level_overlaps(np.asarray(boxes, np.float64), level, anchors).max(axis=1))
    return best


def _level_overlaps(boxes: Float64Array, level: AnchorLevel, anchors: AnchorSpec) -> Float64Array:
    """The (N, S) IoU of each object with the best placed anchor of each size of a map."""
    sizes = np.array(level.sizes, np.float64).reshape(-1, 2)
    if anchors.clip != "none":
        sizes = sizes.clip(0, 1)
    inside = np.ones((len(boxes), len(sizes)))
    for axis, (cells, step) in enumerate(((level.cols, level.step[1]), (level.rows, level.step[0]))):
        centers = (np.arange(cells) + 0.5) * step
        if anchors.clip == "centre":
            centers = centers.clip(0, 1)
        low, high = boxes[:, axis], boxes[:, axis + 2]
        nearest = centers[np.abs((low + high)[:, None] / 2 - centers).argmin(axis=1)][:, None]
        half = sizes[None, :, axis] / 2
        inside *= np.maximum(np.minimum(high[:, None], nearest + half) - np.maximum(low[:, None], nearest - half), 0)
    objects = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.asarray(inside / (objects[:, None] + sizes.prod(axis=1) - inside))
