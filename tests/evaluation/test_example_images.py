from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.sample import Sample
from ssd_edge.evaluation.example_images import MISSED, RIGHT, WRONG, Marks, draw, extremes, mark, spread

NAMES = ("stop", "yield")


def truth(boxes, class_ids, difficult=None) -> Sample:
    hard = np.zeros(len(boxes), bool) if difficult is None else np.array(difficult)
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    return Sample(Path("x.png"), corners, np.array(class_ids, np.int64), hard, np.zeros(len(corners)))


def found(boxes, scores, class_ids) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(class_ids, np.int64)
    )


def test_right_wrong_and_missed_are_told_apart():
    objects = truth([[0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 60]], [0, 1, 1])
    detections = found(
        [[0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 60]], [0.9, 0.8, 0.7, 0.2], [0, 0, 0, 1]
    )
    marks = mark(detections, objects, score_threshold=0.5)
    # The second is a duplicate, the third of another class.
    assert marks.true_positives.tolist() == [True, False, False]
    assert marks.missed.tolist() == [False, True, True]  # the last object's detection is under the threshold
    assert marks.mistakes == 4
    assert marks.verdict == "1 found, 2 wrong, 2 missed"


def test_difficult_objects_are_neither_missed_nor_wrong():
    objects = truth([[0, 0, 10, 10], [20, 20, 40, 40]], [1, 1], [True, True])
    marks = mark(found([[0, 0, 10, 10]], [0.9], [1]), objects, score_threshold=0.5)
    assert (len(marks.shown), marks.mistakes) == (0, 0)


def test_no_detection_misses_all():
    marks = mark(Detections.empty(), truth([[0, 0, 10, 10]], [1]), score_threshold=0.5)
    assert marks.missed.tolist() == [True]


def with_mistakes(count: int) -> Marks:
    return Marks(Detections.empty(), np.zeros(0, bool), np.ones(count, bool))


@pytest.mark.parametrize(("count", "expected"), [(3, [3, 2, 4]), (2, [3, 4]), (9, [3, 0, 2, 1, 4])])
def test_spread_goes_from_worst_to_best(count, expected):
    marks = [with_mistakes(mistakes) for mistakes in (4, 1, 2, 9, 0)]
    assert spread(marks, count) == expected


def test_spread_of_nothing_is_nothing():
    assert spread([], 3) == []


@pytest.mark.parametrize(("count", "worst", "best"), [(1, [3], [4]), (2, [3, 0], [4, 1]), (9, [3, 0, 2], [4, 1])])
def test_no_picture_is_among_the_worst_and_the_best(count, worst, best):
    marks = [with_mistakes(mistakes) for mistakes in (4, 1, 2, 9, 0)]
    assert extremes(marks, count) == (worst, best)
    assert extremes([], count) == ([], [])


def test_of_pictures_without_a_mistake_the_one_where_most_was_found_is_the_best():
    one, two = ([[20 * n, 0, 20 * n + 10, 10] for n in range(count)] for count in (1, 2))
    marks = [
        mark(found(boxes, [0.9] * len(boxes), [0] * len(boxes)), truth(boxes, [0] * len(boxes)), score_threshold=0.5)
        for boxes in (one, two, [])
    ]
    assert extremes(marks, 2) == ([2, 0], [1])
    assert spread(marks, 3) == [2, 0, 1]


def test_drawing_marks_each_kind_in_its_colour_and_leaves_the_picture_alone():
    image = np.full((200, 400, 3), 127, np.uint8)
    objects = truth([[20, 60, 80, 120], [300, 60, 360, 120]], [0, 1])
    marks = mark(found([[20, 60, 80, 120], [150, 60, 210, 120]], [0.9, 0.8], [0, 1]), objects, score_threshold=0.5)
    drawn = draw(image, marks, objects, NAMES)
    assert (image == 127).all()
    assert drawn.shape == image.shape
    assert tuple(drawn[119, 50]) == RIGHT or tuple(drawn[120, 50]) == RIGHT
    assert tuple(drawn[120, 180]) == WRONG
    assert tuple(drawn[120, 304]) == MISSED  # a dash
    assert tuple(drawn[120, 313]) == (127, 127, 127)  # the gap after it


def test_large_pictures_are_made_small_with_their_boxes():
    image = np.full((1000, 2000, 3), 127, np.uint8)
    objects = truth([[200, 400, 400, 600]], [0])
    drawn = draw(image, mark(Detections.empty(), objects, score_threshold=0.5), objects, NAMES, longest_side=500)
    assert drawn.shape == (250, 500, 3)
    assert tuple(drawn[104, 50]) == MISSED


def test_captions_stay_inside_the_picture():
    image = np.zeros((60, 200, 3), np.uint8)
    objects = truth([[150, 0, 200, 60]], [0])
    drawn = draw(image, mark(Detections.empty(), objects, score_threshold=0.5), objects, NAMES)
    plate = (drawn == MISSED).all(axis=2)
    assert plate[:12, 160:].mean() > 0.4


def test_where_boxes_crowd_mistakes_have_their_captions_first():
    image = np.zeros((40, 60, 3), np.uint8)  # room for two captions above one another, for the third there is none
    boxes = [[5, 14, 50, 38]]
    detections = found(boxes * 2, [0.9, 0.8], [0, 1])
    drawn = draw(
        image, mark(detections, truth(boxes * 2, [0, 0]), score_threshold=0.5), truth(boxes * 2, [0, 0]), NAMES
    )
    plates = [int((drawn == color).all(axis=2).sum()) for color in (WRONG, MISSED, RIGHT)]
    assert min(plates[:2]) > 150 > plates[2]
