"""Training targets: a class and an offset for every anchor (SSD, section 2.2)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssd_edge.core.boxes import center_form, corner_form, iou_matrix
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray, IntArray
from ssd_edge.core.sample import UNKNOWN_CLASS
from ssd_edge.core.spec import BoxCoding
from ssd_edge.model.box_coder import encode

NO_OBJECT = -1
BACKGROUND, IGNORED = 0, -1
"""Labels of anchors that learn no object; those that are ignored learn nothing at all."""


class Targets(NamedTuple):
    """The wanted outputs; without the leading B for one image.

    Attributes:
        labels: (B, A) int64; 0 is background, 1 the first real class, -1 an anchor that is ignored.
        offsets: (B, A, 4) float32; zero where the label is no class.
    """

    labels: Tensor
    offsets: Tensor


def match(boxes: FloatArray, anchors: FloatArray, *, iou_threshold: float = 0.5) -> IntArray:
    """Return, for each of A anchors, the number of its object, or ``NO_OBJECT``.

    A anchor takes the object that it overlaps most, if their IoU reaches the threshold; then each object takes its
    own best anchor, however small their IoU. Where two objects share a best anchor the later one gets it, as
    in torchvision's SSDMatcher.

    Args:
        boxes: (N, 4) objects, x1 y1 x2 y2; N may be 0.
        anchors: (A, 4) anchors, x1 y1 x2 y2, in the same unit.
        iou_threshold: smallest IoU of a match.
    """
    if len(boxes) == 0:
        return np.full(len(anchors), NO_OBJECT, dtype=np.int64)
    overlaps = iou_matrix(boxes, anchors)
    matches: IntArray = overlaps.argmax(axis=0).astype(np.int64)
    matches[overlaps.max(axis=0) < iou_threshold] = NO_OBJECT
    matches[overlaps.argmax(axis=1)] = np.arange(len(boxes))
    return matches


class TargetEncoder:
    """Turns the objects of one image into the targets of every anchor.

    Args:
        anchors: (A, 4) anchors, cx cy w h, in 0..1 of the input.
        coding: how a box becomes an offset.
        iou_threshold: smallest IoU of a match; see :func:`match`.
    """

    def __init__(self, anchors: FloatArray, coding: BoxCoding, *, iou_threshold: float = 0.5) -> None:
        self._anchors = torch.from_numpy(np.ascontiguousarray(anchors, dtype=np.float32))
        self._corners = corner_form(np.asarray(anchors, dtype=np.float32))
        self._coding = coding
        self._iou_threshold = iou_threshold

    def __call__(self, boxes: FloatArray, class_ids: IntArray) -> Targets:
        """Return (A,) labels and (A, 4) offsets.

        Anchors that would learn an object that is not learned are ignored, so that it is not learned as background
        either, where they learn no other.

        Args:
            boxes: (N, 4) float32, x1 y1 x2 y2 in 0..1 of the input; N may be 0.
            class_ids: (N,); 0 is the first real class, ``UNKNOWN_CLASS`` an object that is not learned.

        Raises:
            InputError: a box has no area or is not finite, so that no offset describes it.
        """
        _refuse_flat(boxes)
        learned = class_ids != UNKNOWN_CLASS
        others = match(boxes[~learned], self._corners, iou_threshold=self._iou_threshold)
        boxes, class_ids = boxes[learned], class_ids[learned]
        matches = match(boxes, self._corners, iou_threshold=self._iou_threshold)
        matched = np.flatnonzero(matches != NO_OBJECT)
        labels = torch.from_numpy(np.where(others == NO_OBJECT, BACKGROUND, IGNORED).astype(np.int64))
        offsets = torch.zeros(len(self._anchors), 4)
        if len(matched):
            positive, owner = torch.from_numpy(matched), matches[matched]
            labels[positive] = torch.from_numpy(class_ids[owner] + 1)
            objects = torch.from_numpy(center_form(boxes[owner]))
            offsets[positive] = encode(objects, self._anchors[positive], self._coding)
        return Targets(labels, offsets)


def _refuse_flat(boxes: FloatArray) -> None:
    sides = boxes[:, 2:] - boxes[:, :2]
    faulty = np.flatnonzero(~(np.isfinite(boxes).all(axis=1) & (sides > 0).all(axis=1)))
    if len(faulty):
        raise InputError(
            f"object {faulty[0] + 1} of {len(boxes)} cannot be trained",
            got=f"box {np.round(boxes[faulty[0]], 4).tolist()}",
            wanted="finite x1 < x2 and y1 < y2",
            do="Correct its label.",
        )
