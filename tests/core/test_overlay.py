from __future__ import annotations

import itertools

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.overlay import class_color, draw_boxes, text_color
from tests.streaming.films import one_box

NAMES = ("cat", "dog")


def drawn(size: tuple[int, int], found: Detections) -> np.ndarray:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    draw_boxes(picture, found.boxes, found.class_ids, [f"{NAMES[number]} 50%" for number in found.class_ids])
    return picture


def test_the_box_has_the_colour_of_its_class_on_its_edges_and_none_inside() -> None:
    picture = drawn((400, 300), one_box((100, 100, 300, 250)))
    colour = class_color(1)
    for x, y in ((100, 200), (299, 200), (250, 249)):
        assert tuple(picture[y, x].tolist()) == colour
    assert not picture[150:240, 120:280].any()
    assert not picture[260:].any()


def test_the_label_stands_above_the_box_on_its_own_ground() -> None:
    picture = drawn((400, 300), one_box((100, 100, 300, 250)))
    label = picture[85:99, 101:130].reshape(-1, 3).astype(int)
    assert (label == class_color(1)).all(axis=1).any()
    assert np.abs(label - text_color(class_color(1))).max(axis=1).min() < 16  # thin strokes blend with the ground


@pytest.mark.parametrize("box", [(0, 0, 400, 300), (380, 2, 400, 40), (-50, -50, 20, 20), (390, 290, 500, 400)])
def test_a_label_at_the_edge_stays_in_the_picture(box: tuple[float, float, float, float]) -> None:
    whole = drawn((400, 300), one_box((100, 150, 300, 250)))
    area = int(np.all(whole[:149] == class_color(1), axis=2).sum())
    at_edge = drawn((400, 300), one_box(box))
    assert int(np.all(at_edge == class_color(1), axis=2).sum()) >= area


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (64, 64), (3840, 2160)])
def test_any_size_of_picture_can_be_drawn_on(size: tuple[int, int]) -> None:
    assert drawn(size, one_box((0, 0, size[0], size[1]))).any()


def test_lines_grow_with_the_picture() -> None:
    def thickness(size: int) -> int:
        picture = drawn((size, size), one_box((size / 4, size / 4, size * 3 / 4, size * 3 / 4)))
        return int(picture[size // 2, : size // 2].any(axis=1).sum())

    assert thickness(2400) >= 3 * thickness(300)


def test_the_best_detection_is_drawn_last() -> None:
    both = Detections(
        np.array([[50, 50, 90, 90], [50, 50, 90, 90]], np.float32),
        np.array([0.9, 0.2], np.float32),
        np.array([0, 1], np.int64),
    )
    assert tuple(drawn((200, 200), both)[89, 89].tolist()) == class_color(0)


def test_no_detection_draws_nothing() -> None:
    assert not drawn((64, 64), Detections.empty()).any()


def test_colours_of_neighbouring_classes_are_far_apart() -> None:
    colours = np.array([class_color(number) for number in range(20)], int)
    assert min(np.abs(one - other).sum() for one, other in itertools.pairwise(colours)) > 150


@pytest.mark.parametrize(("ground", "text"), [((255, 255, 255), (0, 0, 0)), ((200, 0, 0), (255, 255, 255))])
def test_text_is_black_on_light_and_white_on_dark(ground: tuple[int, int, int], text: tuple[int, int, int]) -> None:
    assert text_color(ground) == text


def test_a_class_name_that_is_no_utf8_does_not_end_the_process() -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    found = one_box((100, 100, 300, 250))
    draw_boxes(picture, found.boxes, found.class_ids, ["caf\udce9 50%"])
    assert picture[85:99].any()
