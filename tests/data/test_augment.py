from __future__ import annotations

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import InputSpec
from ssd_edge.data.augment import RECIPES, Augment

BOX = np.array([[60, 30, 130, 100]], np.float32)
ONE = np.array([3], np.int64)


def bright_box(height: int = 120, width: int = 160) -> UInt8Array:
    image = np.zeros((height, width, 3), np.uint8)
    image[30:100, 60:130] = 255
    return image


def bright_extent(view: UInt8Array) -> FloatArray:
    """x1 y1 x2 y2 of what is clearly brighter than black and its distortion (at most 32 * 1.5 = 48)."""
    mask = view.max(axis=2) > 80
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1], np.float32)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_object_is_where_its_box_says(recipe: str) -> None:
    augment = Augment(recipe, height=96, width=128, fill=(0, 0, 0))
    for seed in range(120):
        view, boxes, class_ids = augment(bright_box(), BOX, ONE, np.random.default_rng(seed))
        assert view.shape == (96, 128, 3)
        assert view.dtype == np.uint8
        assert boxes.dtype == np.float32
        assert class_ids.tolist() == [3]
        np.testing.assert_allclose(bright_extent(view), boxes[0], atol=1.6)


def test_none_is_exactly_what_the_detector_sees() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    boxes = np.array([[7, 5, 35, 50], [-10, 0, 70, 60]], np.float32)
    view, placed, _ = Augment("none", height=100, width=140)(image, boxes, np.array([0, 1]), np.random.default_rng(0))
    np.testing.assert_array_equal(view, preprocess(image, InputSpec(100, 140, (0, 0, 0), (1, 1, 1))))
    np.testing.assert_allclose(placed, [[14, 10, 70, 100], [0, 0, 140, 100]])


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_generator_gives_the_same_view(recipe: str) -> None:
    augment = Augment(recipe, height=64, width=64)
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    views = [augment(image, BOX, ONE, np.random.default_rng(7)) for _ in range(2)]
    for first, second in zip(*views, strict=True):
        np.testing.assert_array_equal(first, second)


def test_flipping_can_be_switched_off() -> None:
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, :32] = 255
    whole, ids = np.array([[0, 0, 64, 64]], np.float32), np.array([0])

    def mirrored(*, horizontal_flip: bool) -> int:
        augment = Augment("ssdlite", height=64, width=64, horizontal_flip=horizontal_flip)
        views = [augment(halves, whole, ids, np.random.default_rng(seed))[0] for seed in range(60)]
        return sum(int(view[:, -1].mean()) > int(view[:, 0].mean()) for view in views)

    assert mirrored(horizontal_flip=False) == 0
    assert 10 < mirrored(horizontal_flip=True) < 50


@pytest.mark.parametrize("recipe", RECIPES)
def test_pictures_without_objects_and_of_one_pixel_are_fine(recipe: str) -> None:
    augment = Augment(recipe, height=32, width=32)
    nothing, no_ids = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    for shape in [(40, 50, 3), (1, 1, 3)]:
        for seed in range(20):
            view, boxes, ids = augment(np.zeros(shape, np.uint8), nothing, no_ids, np.random.default_rng(seed))
            assert (view.shape, boxes.shape, ids.shape) == ((32, 32, 3), (0, 4), (0,))


@pytest.mark.parametrize("recipe", RECIPES)
def test_boxes_stay_in_view_and_classes_stay_with_their_boxes(recipe: str) -> None:
    """Each object has its own color, and it is that color that lies in the middle of its box."""
    image = np.zeros((120, 160, 3), np.uint8)
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    boxes = np.array([[5, 5, 45, 50], [60, 20, 110, 110], [120, 70, 158, 118]], np.float32)
    for (x1, y1, x2, y2), color in zip(boxes.astype(int), colors, strict=True):
        image[y1:y2, x1:x2] = color
    augment = Augment(recipe, height=96, width=96, fill=(0, 0, 0))
    kept = 0
    for seed in range(60):
        view, placed, class_ids = augment(image, boxes, np.arange(3), np.random.default_rng(seed))
        assert ((placed >= 0) & (placed <= 96)).all()
        assert (placed[:, 2:] - placed[:, :2] >= 1).all()
        for (x1, y1, x2, y2), class_id in zip(placed, class_ids, strict=True):
            assert int(view[int((y1 + y2) / 2), int((x1 + x2) / 2)].argmax()) == class_id
        kept += len(placed)
    assert kept >= 100


def test_the_fill_is_the_mean_in_the_order_of_opencv() -> None:
    spec = InputSpec(32, 32, mean=(1.0, 2.0, 3.0), std=(1, 1, 1), color_order="rgb")
    augment = Augment.for_input("ssd", spec)
    bright = np.full((32, 32, 3), 255, np.uint8)
    views = [
        augment(bright, np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.random.default_rng(n))[0]
        for n in range(20)
    ]
    assert any((view[0, 0] == (3, 2, 1)).all() or (view[-1, -1] == (3, 2, 1)).all() for view in views)


def test_unknown_recipes_are_refused() -> None:
    with pytest.raises(InputError, match="recipe 'yolo' is unknown: wanted ssd, ssdlite, none"):
        Augment("yolo", height=32, width=32)


def test_no_view_needs_more_of_a_picture_than_the_smallest_crop() -> None:
    for recipe, side in (("ssd", 1000), ("ssdlite", 1000), ("none", None)):
        assert Augment(recipe, height=200, width=300).least_side == side
