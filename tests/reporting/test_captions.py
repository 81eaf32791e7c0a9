from __future__ import annotations

import numpy as np

from ssd_edge.reporting.captions import Captions

COLOR = (10, 200, 30)


def plates(canvas: np.ndarray, color: tuple[int, int, int] = COLOR) -> np.ndarray:
    return (canvas == color).all(axis=2)


def box(*corners: float) -> np.ndarray:
    return np.array(corners, np.float32)


def test_a_caption_stands_above_its_box_then_inside_then_below():
    canvas = np.zeros((200, 200, 3), np.uint8)
    captions = Captions(canvas)
    for color in (COLOR, (200, 30, 90), (90, 220, 240)):
        assert captions.write(box(50, 80, 120, 140), "dog", color)
    above, inside, below = (
        np.flatnonzero(plates(canvas, c).any(axis=1)) for c in (COLOR, (200, 30, 90), (90, 220, 240))
    )
    assert above.max() <= 80 < inside.max() < 140 <= below.min()
    assert not captions.write(box(50, 80, 120, 140), "dog", (250, 120, 10))
    assert not plates(canvas, (250, 120, 10)).any()


def test_no_caption_covers_another():
    rng = np.random.default_rng(0)
    canvas = np.zeros((300, 400, 3), np.uint8)
    captions, sizes = Captions(canvas), {}
    for number in range(60):
        corner = rng.uniform(-20, 380, 2)
        color = (number + 1, 255 - number, 100)
        if captions.write(box(*corner, *(corner + rng.uniform(5, 90, 2))), "class 0.50", color):
            sizes[color] = int(plates(canvas, color).sum())
    assert 10 < len(sizes) < 60
    assert {color: int(plates(canvas, color).sum()) for color in sizes} == sizes


def test_text_grows_with_the_picture_for_pages_show_all_at_one_width():
    small, large = np.zeros((300, 400, 3), np.uint8), np.zeros((600, 800, 3), np.uint8)
    for canvas in (small, large):
        assert Captions(canvas).write(box(50, 100, 90, 140), "dog", COLOR)
    assert 3 < plates(large).sum() / plates(small).sum() < 5


def test_what_lies_outside_is_moved_in():
    canvas = np.zeros((60, 80, 3), np.uint8)
    assert Captions(canvas).write(box(70, -30, 200, 20), "dog", COLOR)
    rows, columns = np.nonzero(plates(canvas))
    assert rows.min() == 0
    assert columns.max() == 79
