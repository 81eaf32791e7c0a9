"""COCO's numbers against pycocotools, on random sets with crowds, ties, empty pictures and classes, and many boxes."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError, MissingPackageError
from ssd_edge.evaluation.coco_ap import coco_average_precision, detection_list, truth_document

CLASSES = ("car", "cyclist", "pedestrian", "never")


@dataclass(frozen=True)
class Objects:
    boxes: np.ndarray
    class_ids: np.ndarray
    difficult: np.ndarray


def random_truth(random: np.random.Generator) -> Objects:
    count = int(random.integers(0, 9)) * int(random.random() > 0.15)  # some pictures show nothing
    corner, side = random.uniform(0, 300, (count, 2)), np.exp(random.uniform(1.5, 5.5, (count, 2)))
    boxes = np.hstack([corner, corner + side]).astype(np.float32)
    return Objects(boxes, random.integers(0, 3, count), random.random(count) < 0.2)


def random_detections(random: np.random.Generator, truth: Objects) -> Detections:
    """Objects found well and badly, some twice or as another class, among false alarms; a picture may have over 100."""
    alarms = int(random.choice([0, 5, 15, 150], p=[0.2, 0.5, 0.25, 0.05]))
    rows = random.integers(0, len(truth.boxes), 2 * len(truth.boxes)) if len(truth.boxes) else np.zeros(0, np.int64)
    side = truth.boxes[rows, 2:] - truth.boxes[rows, :2]
    near = truth.boxes[rows] + random.normal(0, 0.08, (len(rows), 4)) * np.hstack([side, side])
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
    corner = random.uniform(0, 300, (alarms, 2))
    boxes = np.vstack([near, np.hstack([corner, corner + random.uniform(4, 200, (alarms, 2))])]).astype(np.float32)
    alarm_class = int(random.integers(0, 4))  # all of one class, so that a limit of 100 a class is reached
    labels = np.concatenate([truth.class_ids[rows], np.full(alarms, alarm_class)]).astype(np.int64)
    scores = random.integers(1, 20, len(boxes)).astype(np.float32) / 20  # many ties
    order = np.argsort(-scores, kind="stable")
    return Detections(boxes[order], scores[order], labels[order])


def random_set(seed: int) -> tuple[list[Detections], list[Objects]]:
    random = np.random.default_rng(seed)
    truths = [random_truth(random) for _ in range(int(random.integers(1, 9)))]
    box = np.array([[5, 5, 60, 70]], np.float32)
    truths.append(Objects(box, np.zeros(1, np.int64), np.zeros(1, bool)))  # one object at least must be found
    return [random_detections(random, truth) for truth in truths], truths


def pycocotools_numbers(found: list[Detections], truths: list[Objects]) -> tuple[np.ndarray, np.ndarray]:
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):
        wanted = coco.COCO()
        wanted.dataset = truth_document(truths, CLASSES)
        wanted.createIndex()
        judge = cocoeval.COCOeval(wanted, wanted.loadRes(detection_list(found)), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats, judge.eval["precision"][:, :, :, 0, 2].mean(axis=(0, 1))


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_all_numbers_are_those_of_pycocotools(first: int) -> None:
    crowds = ties = crowded = empty = 0
    for seed in range(first, first + 25):
        found, truths = random_set(seed)
        if not sum(map(len, found)):
            continue
        stats, by_class = pycocotools_numbers(found, truths)
        result = coco_average_precision(found, truths, CLASSES)
        ours = [-1 if value is None else value for value in (*result.numbers, *result.classes.values())]
        assert ours == pytest.approx([*stats, *by_class], abs=1e-6)
        crowds += sum(truth.difficult.sum() for truth in truths)
        ties += sum(len(entry) - len(np.unique(entry.scores)) for entry in found)
        crowded += sum(len(entry) > 100 for entry in found)
        empty += sum(len(truth.boxes) == 0 for truth in truths)
    assert min(crowds, ties, crowded, empty) > 0, "the sets must hold what they are meant to test"


def test_perfect_detections_score_one_and_absent_sizes_and_classes_have_no_number() -> None:
    truths = [Objects(np.float32([[0, 0, 50, 50]]), np.zeros(1, np.int64), np.zeros(1, bool))]
    found = [Detections(truths[0].boxes, np.float32([0.9]), truths[0].class_ids)]
    result = coco_average_precision(found, truths, CLASSES)
    numbers = result.numbers
    assert (numbers.ap, numbers.ap_medium, numbers.ar_1) == (pytest.approx(1), pytest.approx(1), pytest.approx(1))
    assert (numbers.ap_small, numbers.ap_large, numbers.ar_small) == (None, None, None)
    assert result.classes == {"car": pytest.approx(1), "cyclist": None, "pedestrian": None, "never": None}


def test_no_detection_at_all_scores_zero() -> None:
    truths = [Objects(np.float32([[0, 0, 50, 50]]), np.zeros(1, np.int64), np.zeros(1, bool))]
    result = coco_average_precision([Detections.empty()], truths, CLASSES).numbers
    assert (result.ap, result.ar_100, result.ap_small) == (0, 0, None)


def test_many_detections_in_a_crowd_are_not_wrong() -> None:
    boxes = np.float32([[0, 0, 50, 50], [100, 100, 300, 300]])
    truths = [Objects(boxes, np.zeros(2, np.int64), np.array([False, True]))]
    inside = np.float32([[110, 110, 130, 130], [200, 200, 240, 240], [0, 0, 50, 50]])
    found = [Detections(inside, np.float32([0.9, 0.8, 0.7]), np.zeros(3, np.int64))]
    assert coco_average_precision(found, truths, CLASSES).numbers.ap == pytest.approx(1)


def test_set_without_objects_is_named() -> None:
    truths = [Objects(np.float32([[0, 0, 9, 9]]), np.zeros(1, np.int64), np.ones(1, bool))]
    with pytest.raises(InputError, match="hold no object to judge by: wanted at least one that is not marked"):
        coco_average_precision([Detections.empty()], truths, CLASSES)


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(MissingPackageError, match=r"needs faster-coco-eval.*pip install 'ssd-edge\[eval\]'"):
        coco_average_precision([], [], CLASSES)
