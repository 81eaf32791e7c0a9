from __future__ import annotations

import numpy as np
import pytest

from ssd_edge.core.frame import FloatArray, IntArray
from ssd_edge.data import augment as iou_crop
from ssd_edge.data.augment import centers_inside, crop_window

WINDOW = np.array([-20, -10, 180, 110])
BOXES = np.array([[10, 10, 60, 50], [40, 30, 150, 100], [100, 5, 110, 12]], np.float32)


def plain_iou(first: IntArray, second: FloatArray) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    both = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return float(both / (sum(areas) - both))


def plain_centre_inside(window: IntArray, box: FloatArray) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return bool(window[0] <= x < window[2] and window[1] <= y < window[3])


@pytest.mark.parametrize("option", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_some_kept_object_overlaps_the_patch_as_much_as_asked(option: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iou_crop, "CROP_OPTIONS", (option,))
    rng = np.random.default_rng(0)
    cropped = 0
    for _ in range(150):
        patch = crop_window(WINDOW, BOXES, rng)
        if patch is WINDOW:
            continue
        cropped += 1
        best = max(plain_iou(patch, box) for box in BOXES if plain_centre_inside(patch, box))
        assert best >= option - 1e-6
        sides = (patch[2:] - patch[:2]) / (WINDOW[2:] - WINDOW[:2])
        assert (sides >= 0.29).all()
        assert 0.48 <= sides[0] / sides[1] <= 2.1
        assert (patch[:2] >= WINDOW[:2]).all()
        assert (patch[2:] <= WINDOW[2:]).all()
    assert cropped >= {0.7: 50, 0.9: 1}.get(option, 100)  # 0.9 is seldom met by 50 patches


def test_all_options_come_up() -> None:
    rng = np.random.default_rng(0)
    big = np.array([[-20, -10, 178, 108]], np.float32)
    overlaps = [plain_iou(crop_window(WINDOW, big, rng), big[0]) for _ in range(400)]
    whole = np.mean([overlap > 0.97 for overlap in overlaps])
    assert 0.1 < whole < 0.5
    assert min(overlaps) < 0.3  # options any and 0.1


def test_without_an_object_the_window_stays_whole() -> None:
    for seed in range(20):
        assert crop_window(WINDOW, np.zeros((0, 4), np.float32), np.random.default_rng(seed)) is WINDOW


def test_a_window_of_one_pixel_survives() -> None:
    tiny = np.array([0, 0, 1, 1])
    for seed in range(20):
        patch = crop_window(tiny, np.array([[0, 0, 1, 1]], np.float32), np.random.default_rng(seed))
        np.testing.assert_array_equal(patch, tiny)


def test_centres_decide_who_is_inside() -> None:
    boxes = np.array([[0, 0, 2, 2], [8, 8, 12, 12], [7, 7, 12, 12]], np.float32)
    assert centers_inside(boxes, np.array([0, 0, 10, 10])).tolist() == [True, False, True]
