"""A foreign network run as its authors would, in plain numpy and loops; shares no code with the package."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tests.exporting.greedy_nms import greedy_nms
from tests.importing.graphs.foreign_net import SIZE, VARIANCES, ForeignNet, anchor_table


@dataclass(frozen=True)
class Recipe:
    """How pixels enter, and how detections come out."""

    mean: tuple[float, float, float] = (127.0, 127.0, 127.0)
    std: tuple[float, float, float] = (128.0, 128.0, 128.0)
    color: str = "rgb"
    score_threshold: float = 0.01
    iou_threshold: float = 0.45
    clip: bool = False
    variances: tuple[float, float, float, float] = VARIANCES


def detections(net: ForeignNet, image: np.ndarray, recipe: Recipe) -> list[tuple[int, float, np.ndarray]]:
    """(class without background, score, box in pixels cut off at the image), best first; an image of 64 x 64."""
    planes = []
    for number in range(3):
        channel = 2 - number if recipe.color == "rgb" else number
        planes.append((image[:, :, channel].astype(np.float32) - recipe.mean[number]) / recipe.std[number])
    scores, boxes = net.answer(np.array([planes], np.float32))
    if not net.softmaxed:
        scores = np.array([softmax(row) for row in scores], np.float32)
    if not net.decoded:
        boxes = np.array([decode(*pair, recipe.variances) for pair in zip(boxes, anchor_table(), strict=True)])
    boxes = boxes.astype(np.float32)
    if recipe.clip:
        boxes = boxes.clip(0, 1)
    kept = greedy_nms(boxes, scores[:, 1:], score_threshold=recipe.score_threshold, iou_threshold=recipe.iou_threshold)
    return [(found.class_id, float(found.score), boxes[found.box].clip(0, 1) * SIZE) for found in kept[:200]]


def softmax(row):
    powers = [math.exp(value - max(row)) for value in row]
    return [power / sum(powers) for power in powers]


def decode(offsets, anchor, variances):
    dx, dy, dw, dh = (value * variance for value, variance in zip(offsets, variances, strict=True))
    cx, cy, w, h = anchor
    x, y, width, height = cx + dx * w, cy + dy * h, w * math.exp(dw), h * math.exp(dh)
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def assert_same(found, wanted) -> None:
    """Hold a package's Detections against the list from :func:`detections`, within 1e-3 of score and image.

    Partners are looked for by class and nearness: equal scores have no order.
    """
    assert len(found) == len(wanted) > 10
    assert (np.diff(found.scores) <= 0).all()
    left = list(wanted)
    for box, score, class_id in zip(found.boxes, found.scores, found.class_ids, strict=True):
        near = [
            each
            for each in left
            if each[0] == class_id and abs(each[1] - score) < 1e-3 and np.abs(each[2] - box).max() < 1e-3 * SIZE
        ]
        assert near, (class_id, score, box)
        left = [each for each in left if each is not near[0]]
