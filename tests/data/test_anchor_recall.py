from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.boxes import corner_form, iou_matrix
from ssd_edge.core.sample import LabelledSet, Sample
from ssd_edge.core.spec import AnchorSpec
from ssd_edge.data.anchor_recall import AnchorRecall, best_overlaps, unit_boxes
from ssd_edge.model.anchors import anchor_boxes
from ssd_edge.model.zoo import make_spec
from tests.data.folders import draw


def random_boxes(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.random((count, 2, 2)), axis=1)
    return corners.reshape(count, 4).astype(np.float32)


@pytest.mark.parametrize("preset", ["ssd192-tiny", "ssd300-vgg16", "ssd300-vgg16-voc", "ssd300-mobilenet-v1"])
@pytest.mark.parametrize("clip", ["none", "size", "centre"])
def test_equals_the_best_of_all_default_boxes(preset: str, clip: str) -> None:
    anchors = dataclasses.replace(make_spec(preset, ["a"]).anchors, clip=clip)
    boxes = random_boxes(200)
    expected = iou_matrix(boxes, corner_form(anchor_boxes(anchors))).max(axis=1)
    np.testing.assert_allclose(best_overlaps(boxes, anchors), expected, atol=1e-5)


def test_objects_become_fractions_without_the_difficult_and_those_outside(tmp_path: Path) -> None:
    image = draw(tmp_path / "a.jpg")  # 100 x 80
    boxes = np.array([[10, 20, 60, 60], [0, 0, 9, 9], [-10, -8, 50, 40], [200, 0, 300, 9]], np.float32)
    sample = Sample(image, boxes, np.zeros(4, np.int64), np.array([False, True, False, False]), np.zeros(4))
    empty = Sample(tmp_path / "gone.jpg", boxes[:0], np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0))
    found = unit_boxes(LabelledSet(("a",), (sample, empty), "test"))
    np.testing.assert_allclose(found, [[0.1, 0.25, 0.6, 0.75], [0, 0, 0.5, 0.5]], atol=1e-6)


def test_objects_of_images_without_a_known_size_are_left_out(tmp_path: Path) -> None:
    box = np.array([[10, 20, 60, 60]], np.float32)
    samples = [
        Sample(tmp_path / f"{name}.jpg", box, np.zeros(1, np.int64), np.zeros(1, bool), np.zeros(1)) for name in "ab"
    ]
    labelled = LabelledSet(("a",), tuple(samples), "test")
    found = unit_boxes(labelled, sizes={samples[1].image: (200, 80)})  # neither is read
    np.testing.assert_allclose(found, [[0.05, 0.25, 0.3, 0.75]], atol=1e-6)
    assert unit_boxes(labelled, sizes={}).shape == (0, 4)


def test_reach_counts_an_overlap_of_exactly_a_half() -> None:
    assert AnchorRecall.of(np.array([0.5, 0.25, 1.0, 0.25])) == AnchorRecall(4, 0.5, 0.5)
    assert AnchorRecall.of(np.zeros(0)) == AnchorRecall(0, 1.0, 1.0)
    assert isinstance(make_spec("ssd192-tiny", ["a"]).anchors, AnchorSpec)
