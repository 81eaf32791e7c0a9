"""The kinds of error against slow loops over plain lists, and against cases done by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ssd_edge.core.choices import Metric
from ssd_edge.evaluation.mean_ap import mean_average_precision
from ssd_edge.evaluation.tide_errors import ErrorKind, error_costs
from tests.evaluation.test_mean_ap import detections, devkit_overlap, objects

CLASSES = ("stop", "yield", "rare")
KINDS = [kind.value for kind in ErrorKind]


def costs(found, truths, *, metric=Metric.VOC, iou=0.5):
    accuracy = mean_average_precision(found, truths, CLASSES, metric=metric, iou_threshold=iou)
    result = error_costs(found, truths, accuracy)
    assert [cost.kind.value for cost in result] == KINDS
    return accuracy.mean_ap, {c.kind.value: c.count for c in result}, {c.kind.value: c.lost_ap for c in result}


# --- loops ---


def slow_mean_ap(points, wanted, metric):
    """``points``: (class, right), best first; the mean of AP over the classes that want something."""
    aps = []
    for class_id, count in wanted.items():
        if count == 0:
            continue
        curve, right = [], 0
        for place, is_right in enumerate([r for c, r in points if c == class_id], start=1):
            right += is_right
            curve.append((right / count, right / place))
        if metric is Metric.VOC07:
            levels = [level / 10 for level in range(11)]
            aps.append(sum(max([p for r, p in curve if r >= level], default=0.0) for level in levels) / 11)
        else:
            area = 0.0
            for step in range(1, count + 1):  # recall goes up by 1/count where an object is found
                area += max([p for r, p in curve if r >= step / count - 1e-12], default=0.0) / count
            aps.append(area)
    return sum(aps) / len(aps) if aps else None


def slow_objects(truths):
    return [
        [(int(c), [float(v) for v in b], bool(d)) for c, b, d in zip(t.class_ids, t.boxes, t.difficult, strict=True)]
        for t in truths
    ]


def slow_judgement(found, things, threshold):
    """Return (image, class, box, right) of each detection that counts, best first, and the objects found."""
    rows = sorted(
        (-float(score), picture, place, int(label), [float(v) for v in box])
        for picture, dets in enumerate(found)
        for place, (box, score, label) in enumerate(zip(dets.boxes, dets.scores, dets.class_ids, strict=True))
    )
    taken, judged = set(), []
    for _, picture, _, label, box in rows:
        overlaps = [(devkit_overlap(box, b), -n) for n, (c, b, _) in enumerate(things[picture]) if c == label]
        best, number = max(overlaps, default=(0.0, 0))
        if best >= threshold and things[picture][-number][2]:
            continue
        judged.append((picture, label, box, best >= threshold and (picture, -number) not in taken))
        if best >= threshold:
            taken.add((picture, -number))
    return judged, taken


def slow_kind(detection, things, real, threshold):
    """Return the kind of error, and the object that a better class or box would find."""
    picture, label, box, right = detection
    if right:
        return None, None
    near = {key: devkit_overlap(box, things[picture][key[1]][1]) for key in sorted(real) if key[0] == picture}
    same = {k: v for k, v in near.items() if things[picture][k[1]][0] == label}
    other = {k: v for k, v in near.items() if k not in same}
    top_same, top_other = max(same.values(), default=0.0), max(other.values(), default=0.0)
    if 0.1 <= top_same < threshold:
        return "localisation", next(k for k, v in same.items() if v == top_same)
    if top_other >= threshold:
        return "classification", next(k for k, v in other.items() if v == top_other)
    if top_same >= threshold:
        return "duplicate", None
    return ("background" if max(top_same, top_other) <= 0.1 else "both"), None


def slow_costs(found, truths, metric, threshold):
    things = slow_objects(truths)
    judged, taken = slow_judgement(found, things, threshold)
    real = {(p, n) for p, ts in enumerate(things) for n, (_, _, hard) in enumerate(ts) if not hard}
    outcomes = [slow_kind(detection, things, real, threshold) for detection in judged]
    missed = real - taken - {target for _, target in outcomes}
    wanted = Counter(things[p][n][0] for p, n in real)
    before = slow_mean_ap([(label, right) for _, label, _, right in judged], wanted, metric)
    counts, lost_ap = Counter(kind for kind, _ in outcomes), {}
    counts["missed"] = len(missed)
    for kind in KINDS:
        points, mended, left = [], set(), Counter(wanted)
        if kind == "missed":
            left.subtract(things[p][n][0] for p, n in missed)
        for (_, label, _, right), (its, target) in zip(judged, outcomes, strict=True):
            if its != kind:
                points.append((label, right))
            elif target in real - taken - mended:
                mended.add(target)
                points.append((things[target[0]][target[1]][0], True))
        after = slow_mean_ap(points, left, metric)
        lost_ap[kind] = None if after is None else after - before
    return before, {kind: counts[kind] for kind in KINDS}, lost_ap


def random_set(rng):
    """Images with up to five objects, and detections near them, of this or another class, or anywhere."""
    found, truths = [], []
    for _ in range(int(rng.integers(1, 5))):
        count = int(rng.integers(0, 6))
        corners = rng.integers(0, 12, (count, 2)) * 4.0
        boxes = np.concatenate([corners, corners + rng.integers(2, 8, (count, 2)) * 4.0], axis=1)
        class_ids = rng.integers(0, len(CLASSES), count)
        truths.append(objects(boxes, class_ids, rng.random(count) < 0.15))
        seen, labels = [], []
        for box, label in zip(boxes, class_ids, strict=True):
            for _ in range(int(rng.integers(0, 4))):
                seen.append(box + rng.integers(-1, 2, 4) * rng.choice([1.0, 5.0]))
                labels.append(label if rng.random() < 0.7 else rng.integers(0, len(CLASSES)))
        for _ in range(int(rng.integers(0, 3))):
            corner = rng.integers(0, 80, 2)
            seen.append(np.concatenate([corner, corner + 10.0]))
            labels.append(rng.integers(0, len(CLASSES)))
        scores = np.sort(rng.integers(1, 12, len(seen)) / 12)[::-1]  # with equal ones
        found.append(detections(seen, scores, labels))
    return found, truths


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("iou", [0.5, 0.75])
def test_random_sets_agree_with_slow_loops(metric, iou):
    rng = np.random.default_rng(7)
    seen, compared = Counter(), 0
    while compared < 150:
        found, truths = random_set(rng)
        if all(truth.difficult.all() for truth in truths):
            continue
        mean_ap, counts, lost = costs(found, truths, metric=metric, iou=iou)
        slow_ap, slow_counts, slow_lost = slow_costs(found, truths, metric, iou)
        assert mean_ap == pytest.approx(slow_ap, abs=1e-9)
        assert counts == slow_counts
        for kind in KINDS:
            if slow_lost[kind] is None:
                assert lost[kind] is None
            else:
                assert lost[kind] == pytest.approx(slow_lost[kind], abs=1e-9), kind
        seen.update({kind: count > 0 for kind, count in counts.items()})
        compared += 1
    assert all(seen[kind] > 10 for kind in KINDS), seen


def test_each_kind_by_hand():
    truth = objects([[0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10], [300, 0, 310, 10]], [0, 0, 1, 1])
    found = detections(
        [
            [0, 0, 10, 10],  # right
            [0, 0, 10, 9],  # the same object again
            [100, 0, 110, 4],  # its class, overlap 0.4
            [200, 0, 210, 9],  # overlaps 0.9, the other class
            [300, 0, 310, 3],  # overlap 0.3, the other class
            [500, 0, 510, 10],  # nothing there
        ],
        [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
        [0, 0, 0, 0, 0, 0],
    )
    mean_ap, counts, lost = costs([found], [truth])
    assert counts == dict.fromkeys(KINDS, 1)
    assert mean_ap == pytest.approx((0.5 + 0) / 2)  # one of two "stop" found first, no "yield"
    assert lost["localisation"] == pytest.approx((0.5 * 1 + 0.5 * 2 / 3) / 2 - 0.25)
    assert lost["classification"] == pytest.approx(0.5 / 2)  # one of two "yield" found, first
    assert lost["missed"] == 0.0  # of "yield" one is left, which is not found
    assert lost["duplicate"] == lost["both"] == lost["background"] == 0.0  # all behind the only right one


def test_a_set_where_everything_was_missed_has_no_cost_of_that():
    _, counts, lost = costs([detections([], [])], [objects([[0, 0, 9, 9]])])
    assert (counts["missed"], lost["missed"]) == (1, None)
    assert lost["background"] == 0.0


def test_every_kind_says_what_it_means():
    assert len({kind.meaning for kind in ErrorKind}) == 6
