from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_edge.core.frame import FloatArray, IntArray, UInt8Array
from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import InputSpec
from ssd_edge.data.geometry import boxes_in_window, flip_boxes, render, zoom_out

FILL = (10.0, 20.0, 30.0)


def painted(width: int, height: int, box: tuple[int, int, int, int]) -> UInt8Array:
    image = np.full((height, width, 3), 0, np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    return image


def extent(picture: UInt8Array) -> FloatArray:
    """Edges of the bright rectangle to a fraction of a pixel: from the sums of its middle row and column."""
    bright = picture[..., 0].astype(np.float64) / 255
    rows, cols = bright.max(axis=1), bright.max(axis=0)
    first = np.array([np.argmax(cols > 0.02), np.argmax(rows > 0.02)])
    inner = [cols, rows]
    ends = []
    for axis, start in enumerate(first):
        line = inner[axis]
        stop = len(line) - int(np.argmax(line[::-1] > 0.02))
        middle = (start + stop) // 2
        ends.append((middle - line[start:middle].sum(), middle + line[middle:stop].sum()))
    return np.array([ends[0][0], ends[1][0], ends[0][1], ends[1][1]], np.float32)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_painted_rectangle_is_found_where_its_box_says(data: st.DataObject) -> None:
    whole = st.integers
    x1, y1 = data.draw(whole(0, 150)), data.draw(whole(0, 110))
    box = (x1, y1, data.draw(whole(x1 + 40, 200)), data.draw(whole(y1 + 40, 160)))
    window = np.array([data.draw(whole(*limits)) for limits in ((-300, x1), (-300, y1), (box[2], 500), (box[3], 500))])
    view = render(painted(200, 160, box), window, width=120, height=96, fill=(0, 0, 0))
    expected = boxes_in_window(np.array([box], np.float32), window, width=120, height=96)[0]
    np.testing.assert_allclose(extent(view), expected, atol=0.75)


def test_inside_the_picture_a_view_is_what_the_detector_sees() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    view = render(image, np.array([5, 7, 85, 57]), width=32, height=24, fill=FILL)
    spec = InputSpec(24, 32, (0, 0, 0), (1, 1, 1))
    np.testing.assert_array_equal(view, preprocess(np.ascontiguousarray(image[7:57, 5:85]), spec))


def test_outside_the_picture_lies_the_fill_and_recolouring_spares_it() -> None:
    image = np.full((40, 40, 3), 100, np.uint8)
    window = np.array([-40, 0, 40, 40])
    view = render(image, window, width=40, height=20, fill=FILL, recolour=lambda pixels: pixels + 50)
    np.testing.assert_array_equal(view[:, :19], np.broadcast_to(FILL, (20, 19, 3)))
    np.testing.assert_array_equal(view[:19, 21:39], np.full((19, 18, 3), 150))


def test_a_window_beyond_the_picture_is_all_fill() -> None:
    view = render(np.zeros((9, 9, 3), np.uint8), np.array([20, 20, 30, 30]), width=4, height=4, fill=FILL)
    np.testing.assert_array_equal(view, np.broadcast_to(FILL, (4, 4, 3)))


def test_fine_patterns_are_averaged_not_skipped_when_zoomed_out() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    image[:, ::4] = 200  # mean 50
    view = render(image, np.array([-512, -512, 512, 512]), width=128, height=128, fill=(0, 0, 0))
    assert np.abs(view[66:94, 66:94].astype(int) - 50).max() <= 1


def test_zooming_out_keeps_the_picture_in_view() -> None:
    rng = np.random.default_rng(0)
    window = np.array([0, 0, 64, 48])
    seen: list[IntArray] = [zoom_out(window, 4.0, rng) for _ in range(300)]
    for wide in seen:
        assert (wide[:2] <= 0).all()
        assert (wide[2:] >= [64, 48]).all()
    widths = np.array([wide[2] - wide[0] for wide in seen])
    assert widths.min() >= 64
    assert widths.max() <= 256
    assert 64 * 2.3 < widths.mean() < 64 * 2.7  # uniform on 1 to 4


def test_flipping_twice_changes_nothing() -> None:
    boxes = np.array([[1, 2, 5, 7], [0, 0, 10, 10]], np.float32)
    assert flip_boxes(boxes, width=10).tolist() == [[5, 2, 9, 7], [0, 0, 10, 10]]
    np.testing.assert_array_equal(flip_boxes(flip_boxes(boxes, width=10), width=10), boxes)


def test_boxes_equal_those_of_torchvision() -> None:
    tv_tensors = pytest.importorskip("torchvision.tv_tensors")
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, [200, 160], (50, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
    for left, top, right, bottom in [(20, 10, 150, 140), (-35, -80, 400, 300), (0, 0, 200, 160)]:
        theirs = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(160, 200))
        theirs = functional.pad(theirs, [35, 80, 200, 140])
        theirs = functional.crop(theirs, top + 80, left + 35, bottom - top, right - left)
        theirs = functional.horizontal_flip(functional.resize(theirs, [96, 120]))
        ours = boxes_in_window(boxes, np.array([left, top, right, bottom]), width=120, height=96)
        np.testing.assert_allclose(flip_boxes(ours, width=120), np.asarray(theirs), atol=1e-4)
