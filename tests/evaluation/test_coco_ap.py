"""COCO's numbers against pycocotools, on random sets with crowds, ties, empty images and classes, and many boxes."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError, MissingPackageError
from ssd_edge.data.coco import scan_coco
from ssd_edge.data.usable import checked_set
from ssd_edge.evaluation.coco_ap import coco_average_precision
from tests.data.folders import draw

CLASSES, CATEGORY_IDS = ("car", "cyclist", "pedestrian", "never"), (1, 4, 5, 90)


@dataclass(frozen=True)
class Objects:
    boxes: np.ndarray
    class_ids: np.ndarray
    difficult: np.ndarray
    areas: np.ndarray


def random_truth(random: np.random.Generator) -> Objects:
    """Objects with corners at eighths of a pixel, which float32 holds exactly; pycocotools counts in float64."""
    count = int(random.integers(0, 9)) * int(random.random() > 0.15)  # some images show nothing
    corner, side = (
        random.integers(0, 2400, (count, 2)) / 8,
        np.ceil(8 * np.exp(random.uniform(1.5, 5.5, (count, 2)))) / 8,
    )
    boxes = np.hstack([corner, corner + side]).astype(np.float32)
    # The share of the box that the outline fills; an area of COCO's own borders now and then.
    areas = (side.prod(axis=1) * random.uniform(0.05, 1, count)).round(3)
    areas = np.where(random.random(count) < 0.1, random.choice([0, 32**2, 96**2], count), areas)
    return Objects(boxes, random.integers(0, 3, count), random.random(count) < 0.2, areas)


def random_detections(random: np.random.Generator, truth: Objects) -> Detections:
    """Objects found well and badly, some twice or as another class, among false alarms; an image may have over 100."""
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
    truths.append(
        Objects(box, np.zeros(1, np.int64), np.zeros(1, bool), np.array([900.0]))
    )  # one object at least must be found
    return [random_detections(random, truth) for truth in truths], truths


def instances(truths: list[Objects]) -> dict[str, Any]:
    """The objects as COCO's own file has them, written here by plain loops: ids with gaps, areas of outlines."""
    annotations = []
    for image_id, truth in enumerate(truths):
        for (x1, y1, x2, y2), label, crowd, area in zip(
            truth.boxes.tolist(), truth.class_ids, truth.difficult, truth.areas, strict=True
        ):
            entry = {"id": 500 + len(annotations), "image_id": 10 * image_id + 3, "category_id": CATEGORY_IDS[label]}
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": float(area), "iscrowd": int(crowd)}
            annotations.append({**entry, **box})
    return {
        "images": [{"id": 10 * number + 3, "file_name": f"{number}.jpg"} for number in range(len(truths))],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in zip(CATEGORY_IDS, CLASSES, strict=True)],
    }


def results(found: list[Detections]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": 10 * number + 3,
            "category_id": CATEGORY_IDS[label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for number, entry in enumerate(found)
        for (x1, y1, x2, y2), score, label in zip(
            entry.boxes.tolist(), entry.scores.tolist(), entry.class_ids, strict=True
        )
    ]


def pycocotools_numbers(file: Path, found: list[Detections]) -> tuple[np.ndarray, np.ndarray]:
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):
        wanted = coco.COCO(str(file))
        judge = cocoeval.COCOeval(wanted, wanted.loadRes(results(found)), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats, judge.eval["precision"][:, :, :, 0, 2].mean(axis=(0, 1))


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_all_numbers_are_those_that_pycocotools_counts_from_the_same_file(tmp_path: Path, first: int) -> None:
    for number in range(9):
        draw(tmp_path / f"{number}.jpg", 1000, 1000)
    seen: Counter[str] = Counter()
    for seed in range(first, first + 25):
        found, truths = random_set(seed)
        file = tmp_path / f"{seed}.json"
        file.write_text(json.dumps(instances(truths)))
        stats, by_class = pycocotools_numbers(file, found)
        result = coco_average_precision(found, checked_set(scan_coco(file, tmp_path)).samples, CLASSES)
        ours = [-1 if value is None else value for value in (*result.numbers, *result.classes.values())]
        assert ours == pytest.approx([*stats, *by_class], abs=1e-6)
        seen["crowds"] += sum(int(truth.difficult.sum()) for truth in truths)
        seen["ties"] += sum(len(entry) - len(np.unique(entry.scores)) for entry in found)
        seen["over 100 detections"] += sum(len(entry) > 100 for entry in found)
        seen["empty images"] += sum(len(truth.boxes) == 0 for truth in truths)
        seen["sizes that the outline changes"] += sum(map(resized, truths))
    assert len(seen) == 5, "the sets must hold what they are meant to test"
    assert min(seen.values()) > 0, seen


def resized(truth: Objects) -> int:
    """Count the objects that are smaller by their outline than by their box, as COCO sizes go."""
    boxes = (truth.boxes[:, 2:] - truth.boxes[:, :2]).astype(np.float64).prod(axis=1)
    return int(np.count_nonzero(np.digitize(truth.areas, [32**2, 96**2]) != np.digitize(boxes, [32**2, 96**2])))


def test_perfect_detections_score_one_and_absent_sizes_and_classes_have_no_number() -> None:
    truths = [Objects(np.float32([[0, 0, 50, 50]]), np.zeros(1, np.int64), np.zeros(1, bool), np.array([2500.0]))]
    found = [Detections(truths[0].boxes, np.float32([0.9]), truths[0].class_ids)]
    result = coco_average_precision(found, truths, CLASSES)
    numbers = result.numbers
    assert (numbers.ap, numbers.ap_medium, numbers.ar_1) == (pytest.approx(1), pytest.approx(1), pytest.approx(1))
    assert (numbers.ap_small, numbers.ap_large, numbers.ar_small) == (None, None, None)
    assert result.classes == {"car": pytest.approx(1), "cyclist": None, "pedestrian": None, "never": None}


def test_no_detection_at_all_scores_zero() -> None:
    truths = [Objects(np.float32([[0, 0, 50, 50]]), np.zeros(1, np.int64), np.zeros(1, bool), np.array([2500.0]))]
    result = coco_average_precision([Detections.empty()], truths, CLASSES).numbers
    assert (result.ap, result.ar_100, result.ap_small) == (0, 0, None)


def test_many_detections_in_a_crowd_are_not_wrong() -> None:
    boxes = np.float32([[0, 0, 50, 50], [100, 100, 300, 300]])
    truths = [Objects(boxes, np.zeros(2, np.int64), np.array([False, True]), np.array([2500.0, 4e4]))]
    inside = np.float32([[110, 110, 130, 130], [200, 200, 240, 240], [0, 0, 50, 50]])
    found = [Detections(inside, np.float32([0.9, 0.8, 0.7]), np.zeros(3, np.int64))]
    assert coco_average_precision(found, truths, CLASSES).numbers.ap == pytest.approx(1)


def test_set_without_objects_is_named() -> None:
    truths = [Objects(np.float32([[0, 0, 9, 9]]), np.zeros(1, np.int64), np.ones(1, bool), np.array([81.0]))]
    with pytest.raises(
        InputError, match="have no objects to evaluate: wanted at least one object that is not difficult"
    ):
        coco_average_precision([Detections.empty()], truths, CLASSES)


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(MissingPackageError, match=r"the package faster-coco-eval.*pip install 'ssd-edge\[eval\]'"):
        coco_average_precision([], [], CLASSES)
