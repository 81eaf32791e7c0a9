"""The metric against a slow copy of the devkit's loops (VOCevaldet.m, VOCap.m), and against cases done by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from ssd_edge.core.choices import Metric
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.evaluation.mean_ap import COCO_THRESHOLDS, ClassAp, mean_average_precision, precision_recall

CLASSES = ("stop", "yield", "never")


@dataclass(frozen=True)
class Objects:
    boxes: np.ndarray
    class_ids: np.ndarray
    difficult: np.ndarray


def objects(boxes, class_ids=None, difficult=None) -> Objects:
    count = len(boxes)
    return Objects(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros(count, np.int64) if class_ids is None else np.array(class_ids, np.int64),
        np.zeros(count, bool) if difficult is None else np.array(difficult, bool),
    )


def detections(boxes, scores, class_ids=None) -> Detections:
    ids = np.zeros(len(boxes), np.int64) if class_ids is None else np.array(class_ids, np.int64)
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), ids)


# --- the devkit, loop by loop, with continuous boxes ---


def devkit_overlap(a, b) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union


def devkit_marks(found, truth, class_id, threshold):
    """Return (tp, fp) lists over all detections of the class, best first, and the number of positives."""
    rows = [
        (-float(score), picture, place, [float(v) for v in box])
        for picture, dets in enumerate(found)
        for place, (box, score, label) in enumerate(zip(dets.boxes, dets.scores, dets.class_ids, strict=True))
        if label == class_id
    ]
    rows.sort(key=lambda row: row[:3])
    taken, tp, fp, positives = set(), [], [], 0
    for truths in truth:
        positives += sum(
            1 for label, hard in zip(truths.class_ids, truths.difficult, strict=True) if label == class_id and not hard
        )
    for _, picture, _, box in rows:
        best, best_object = -math.inf, None
        for number, (wanted, label) in enumerate(zip(truth[picture].boxes, truth[picture].class_ids, strict=True)):
            overlap = devkit_overlap(box, [float(v) for v in wanted])
            if label == class_id and overlap > best:
                best, best_object = overlap, number
        tp.append(0)
        fp.append(0)
        if best >= threshold:
            if truth[picture].difficult[best_object]:
                continue
            if (picture, best_object) not in taken:
                tp[-1] = 1
                taken.add((picture, best_object))
            else:
                fp[-1] = 1
        else:
            fp[-1] = 1
    return tp, fp, positives


def devkit_ap(tp, fp, positives, metric):
    if positives == 0:
        return None
    recall, precision, right, wrong = [], [], 0, 0
    for hit, miss in zip(tp, fp, strict=True):
        right, wrong = right + hit, wrong + miss
        recall.append(right / positives)
        precision.append(right / (right + wrong) if right + wrong else 0.0)
    if metric is Metric.VOC07:
        levels = [step / 10 for step in range(11)]
        best = [max((p for p, r in zip(precision, recall, strict=True) if r >= level), default=0.0) for level in levels]
        return sum(best) / 11
    recall, precision = [0.0, *recall, 1.0], [0.0, *precision, 0.0]
    for place in range(len(precision) - 2, -1, -1):
        precision[place] = max(precision[place], precision[place + 1])
    return sum(
        (recall[place] - recall[place - 1]) * precision[place]
        for place in range(1, len(recall))
        if recall[place] != recall[place - 1]
    )


def random_set(seed):
    """Images with few places, so that overlaps, duplicates and exact ties of box and score are common."""
    rng = np.random.default_rng(seed)
    pictures = int(rng.integers(1, 7))
    found, truth = [], []
    for _ in range(pictures):
        count = int(rng.integers(0, 6))
        corners = rng.integers(0, 4, (count, 2)) * 8
        boxes = np.concatenate([corners, corners + rng.integers(1, 4, (count, 2)) * 8], axis=1).astype(np.float32)
        truth.append(objects(boxes, rng.integers(0, 2, count), rng.random(count) < 0.25))
        size = int(rng.integers(0, 12))
        base = boxes[rng.integers(0, count, size)] if count else np.tile(np.float32([0, 0, 16, 16]), (size, 1))
        shifted = base + rng.integers(-1, 2, (size, 4)).astype(np.float32) * 2
        scores = np.sort(rng.integers(1, 6, size) / 5)[::-1]
        found.append(detections(shifted, scores, rng.integers(0, len(CLASSES), size)))
    return found, truth


@pytest.mark.parametrize("metric", list(Metric))
def test_equals_the_devkit_on_random_sets(metric):
    compared = 0
    for seed in range(300):
        found, truth = random_set(seed)
        wanted = {
            threshold: [devkit_ap(*devkit_marks(found, truth, c, threshold), metric) for c in range(len(CLASSES))]
            for threshold in (COCO_THRESHOLDS if seed % 8 == 0 else [0.5])
        }
        known = [ap for ap in wanted[0.5] if ap is not None]
        if not known:
            continue
        result = mean_average_precision(found, truth, CLASSES, metric=metric)
        compared += 1
        for entry, ap in zip(result.classes, wanted[0.5], strict=True):
            assert entry.ap == (None if ap is None else pytest.approx(ap, abs=1e-12)), (seed, entry.name)
        assert result.mean_ap == pytest.approx(sum(known) / len(known), abs=1e-12)
        if seed % 8:
            continue
        every = [ap for aps in wanted.values() for ap in aps if ap is not None]
        assert result.mean_ap_50_95 == pytest.approx(sum(every) / len(every), abs=1e-12)
    assert compared >= 200


def test_curve_ends_where_the_marks_end():
    found, truth = random_set(7)
    tp, fp, positives = devkit_marks(found, truth, 0, 0.5)
    entry = mean_average_precision(found, truth, CLASSES).classes[0]
    assert entry.objects == positives
    assert len(entry.scores) == len(entry.precision) == len(entry.recall) == sum(tp) + sum(fp)
    assert entry.recall[-1] == pytest.approx(sum(tp) / positives)
    assert entry.precision[-1] == pytest.approx(sum(tp) / (sum(tp) + sum(fp)))


def test_all_found_is_one_under_both_metrics():
    truth = [objects([[0, 0, 10, 10], [20, 20, 40, 40]])]
    found = [detections([[20, 20, 40, 40], [0, 0, 10, 10]], [0.9, 0.8])]
    for metric in Metric:
        result = mean_average_precision(found, truth, ["stop"], metric=metric)
        assert result.mean_ap == result.mean_ap_50_95 == 1.0


def test_half_found_by_hand():
    # Right, wrong, right of 4 objects: precision 1, 1/2, 2/3 at recall 1/4, 1/4, 1/2.
    truth = [objects([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]])]
    found = [detections([[0, 0, 10, 10], [0, 50, 9, 59], [20, 0, 30, 10]], [0.9, 0.8, 0.7])]
    assert mean_average_precision(found, truth, ["stop"]).mean_ap == pytest.approx(0.25 + 0.25 * 2 / 3)
    by_points = mean_average_precision(found, truth, ["stop"], metric=Metric.VOC07).mean_ap
    assert by_points == pytest.approx((3 * 1 + 3 * 2 / 3) / 11)


def test_overlap_of_exactly_the_threshold_is_enough():
    truth = [objects([[0, 0, 10, 10]])]
    assert mean_average_precision([detections([[0, 0, 10, 5]], [0.9])], truth, ["stop"]).mean_ap == 1.0
    assert mean_average_precision([detections([[0, 0, 10, 4.99]], [0.9])], truth, ["stop"]).mean_ap == 0.0


def test_second_detection_of_an_object_is_wrong():
    truth = [objects([[0, 0, 10, 10], [1, 0, 11, 10]])]
    found = [detections([[0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.8])]
    entry = mean_average_precision(found, truth, ["stop"]).classes[0]
    assert entry.precision.tolist() == [1.0, 0.5]
    assert entry.recall.tolist() == [0.5, 0.5]


def test_difficult_object_is_neither_wanted_nor_wrong():
    truth = [objects([[0, 0, 10, 10], [20, 0, 30, 10]], difficult=[True, False])]
    found = [detections([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]], [0.9, 0.8, 0.7])]
    entry = mean_average_precision(found, truth, ["stop"]).classes[0]
    assert (entry.ap, entry.objects, entry.difficult, len(entry.scores)) == (1.0, 1, 1, 1)


def test_class_without_objects_has_no_ap_and_is_not_in_the_mean():
    truth = [objects([[0, 0, 10, 10]])]
    found = [detections([[0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.8], [0, 1])]
    result = mean_average_precision(found, truth, ["stop", "yield"])
    assert [entry.ap for entry in result.classes] == [1.0, None]
    assert result.mean_ap == 1.0


def test_pictures_without_detections_count():
    truth = [objects([[0, 0, 10, 10]]), objects([[0, 0, 10, 10]])]
    found = [Detections.empty(), detections([[0, 0, 10, 10]], [0.5])]
    assert mean_average_precision(found, truth, ["stop"]).mean_ap == 0.5
    assert mean_average_precision([Detections.empty()] * 2, truth, ["stop"]).mean_ap == 0.0


def test_detection_finds_nothing_in_another_picture():
    truth = [objects([[0, 0, 10, 10]]), objects([])]
    found = [Detections.empty(), detections([[0, 0, 10, 10]], [0.5])]
    assert mean_average_precision(found, truth, ["stop"]).mean_ap == 0.0


def test_nothing_to_judge_by_is_named():
    truth = [objects([[0, 0, 10, 10]], difficult=[True])]
    with pytest.raises(InputError, match="the images have no objects to evaluate: got 1 images; wanted at least one"):
        mean_average_precision([Detections.empty()], truth, ["stop"])


def test_best_f1_is_the_best_of_all_thresholds():
    rng = np.random.default_rng(3)
    for _ in range(100):
        count, wanted = int(rng.integers(1, 30)), int(rng.integers(1, 12))
        scores = np.sort(rng.integers(1, 15, count) / 16)[::-1].astype(np.float32)
        right = rng.random(count) < 0.5
        right[np.cumsum(right) > wanted] = False
        entry = ClassAp("stop", 0.5, wanted, 0, scores, *precision_recall(right, wanted))
        rows = []
        for threshold in np.unique(scores):
            kept = scores >= threshold
            rows.append(2 * right[kept].sum() / (kept.sum() + wanted))
        best = entry.best_f1
        if not right.any():
            assert best is None
            continue
        assert best.f1 == pytest.approx(max(rows))
        kept = scores > best.score
        assert kept.tolist() == (scores >= best.score).tolist()
        assert 2 * right[kept].sum() / (kept.sum() + wanted) == pytest.approx(best.f1)
        assert (best.precision, best.recall) == pytest.approx((right[kept].mean(), right[kept].sum() / wanted))


def test_a_class_without_objects_or_detections_has_no_best_f1():
    nothing = (np.zeros(0, np.float32), np.zeros(0), np.zeros(0))
    assert ClassAp("a", 0.0, 3, 0, *nothing).best_f1 is None
    assert ClassAp("a", None, 0, 0, np.ones(1, np.float32), np.zeros(1), np.zeros(1)).best_f1 is None
