from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.ops import box_convert, box_iou

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import UNKNOWN_CLASS
from ssd_edge.core.spec import BoxCoding
from ssd_edge.training.targets import BACKGROUND, IGNORED, NO_OBJECT, TargetEncoder, match
from tests.training.factories import random_boxes, tiny_anchors


def plain_iou(a, b) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    inside = width * height
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)


def plain_match(boxes, anchors, threshold: float) -> list[int]:
    """The paper's rule, one pair at a time."""
    matches = []
    for anchor in anchors:
        overlaps = [plain_iou(box, anchor) for box in boxes]
        best = int(np.argmax(overlaps)) if overlaps else NO_OBJECT
        matches.append(best if overlaps and overlaps[best] >= threshold else NO_OBJECT)
    for number, box in enumerate(boxes):
        matches[int(np.argmax([plain_iou(box, anchor) for anchor in anchors]))] = number
    return matches


def corners(anchors):
    return box_convert(torch.from_numpy(anchors), "cxcywh", "xyxy").numpy()


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_matches_are_those_of_a_loop_over_all_pairs(threshold: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        boxes, anchors = random_boxes(rng, int(rng.integers(0, 7))), random_boxes(rng, 40)
        found = match(boxes, anchors, iou_threshold=threshold)
        assert found.tolist() == plain_match(boxes.astype(float), anchors.astype(float), threshold)


def test_targets_equal_torchvisions_matcher_and_box_coder() -> None:
    rng = np.random.default_rng(2)
    anchors = tiny_anchors()
    wanted_corners = torch.from_numpy(corners(anchors))
    encode = TargetEncoder(anchors, BoxCoding())
    coder, matcher = BoxCoder((10.0, 10.0, 5.0, 5.0)), SSDMatcher(0.5)
    positives = 0
    for _ in range(100):
        boxes, class_ids = random_boxes(rng, int(rng.integers(1, 12))), rng.integers(0, 20, 12)
        targets = encode(boxes, class_ids[: len(boxes)])
        matches = matcher(box_iou(torch.from_numpy(boxes), wanted_corners))
        positive = matches >= 0
        owner = matches[positive]
        assert torch.equal(targets.labels > 0, positive)
        assert torch.equal(targets.labels[positive], torch.from_numpy(class_ids)[owner] + 1)
        offsets = coder.encode_single(torch.from_numpy(boxes)[owner], wanted_corners[positive])
        torch.testing.assert_close(targets.offsets[positive], offsets, rtol=1e-5, atol=1e-5)
        assert not targets.offsets[~positive].any()
        positives += int(positive.sum())
    assert positives > 500


def test_an_object_keeps_its_best_default_box_however_small_the_overlap() -> None:
    boxes = np.array([[0.0, 0.0, 0.05, 0.05]], np.float32)
    anchors = np.array([[0.5, 0.5, 1.0, 1.0], [0.0, 0.0, 0.4, 0.4]], np.float32)
    assert match(boxes, anchors).tolist() == [NO_OBJECT, 0]


def test_of_two_objects_with_the_same_best_default_box_the_later_gets_it() -> None:
    anchors = np.array([[0.0, 0.0, 0.5, 0.5], [0.6, 0.6, 1.0, 1.0]], np.float32)
    boxes = np.array([[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.4]], np.float32)
    assert match(boxes, anchors).tolist() == [1, NO_OBJECT]


def test_a_picture_without_objects_is_all_background() -> None:
    anchors = tiny_anchors()
    targets = TargetEncoder(anchors, BoxCoding())(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    assert targets.labels.shape == (len(anchors),)
    assert targets.labels.dtype == torch.int64
    assert targets.offsets.shape == (len(anchors), 4)
    assert not targets.labels.any()
    assert not targets.offsets.any()


@pytest.mark.parametrize("box", [[0.2, 0.2, 0.2, 0.5], [0.5, 0.2, 0.4, 0.6], [0.1, float("nan"), 0.4, 0.6]])
def test_a_box_without_area_is_refused_by_number(box: list[float]) -> None:
    boxes = np.array([[0.1, 0.1, 0.5, 0.5], box], np.float32)
    with pytest.raises(InputError, match=r"object 2 of 2 cannot be trained: got box .*; wanted finite x1 < x2"):
        TargetEncoder(tiny_anchors(), BoxCoding())(boxes, np.zeros(2, np.int64))


def test_anchors_that_only_an_ignored_object_would_take_are_ignored() -> None:
    """Real objects keep all their anchors, and no anchor of an ignored one is background."""
    rng = np.random.default_rng(5)
    anchors = tiny_anchors()
    encode = TargetEncoder(anchors, BoxCoding())
    for _ in range(50):
        boxes = random_boxes(rng, 6)
        class_ids = np.array([0, 1, 2, *[UNKNOWN_CLASS] * 3])
        alone, both = encode(boxes[:3], class_ids[:3]), encode(boxes, class_ids)
        taken = torch.from_numpy(match(boxes[3:], corners(anchors)) != NO_OBJECT)
        assert torch.equal(both.offsets, alone.offsets)
        assert torch.equal(both.labels, torch.where((alone.labels == BACKGROUND) & taken, IGNORED, alone.labels))
        assert (both.labels == IGNORED).any()
