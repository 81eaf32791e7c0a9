from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from ssd_edge.evaluation.curves import class_chart
from ssd_edge.evaluation.mean_ap import ClassAp


def curve(precision, recall, name="stop") -> ClassAp:
    count = len(precision)
    return ClassAp(name, 0.5, 4, 0, np.ones(count, np.float32), np.array(precision, float), np.array(recall, float))


def polylines(svg: str) -> list[tuple[str, list[tuple[float, float]]]]:
    found = []
    for line in ElementTree.fromstring(svg).iter("polyline"):
        points = [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
        found.append((line.get("class"), points))
    return found


def test_chart_has_a_line_for_each_artefact_in_the_frame():
    full, poor = curve([1, 1], [0.5, 1]), curve([0, 0.5], [0, 0.5])
    (first, a), (second, b) = polylines(class_chart([full, poor]))
    assert (first, second) == ("series-0", "series-1")
    top, right = a[1][1], a[1][0]
    assert a[0] == (pytest.approx((26 + right) / 2), top)  # half the recall is half way from the axis, which is at 26
    assert b[0][1] - top == pytest.approx(2 * (b[1][1] - top))  # precision 0 is twice as far down as 0.5


def test_runs_of_equal_recall_become_two_points():
    long = curve([1.0, *[1 / n for n in range(2, 1002)]], [0.25] * 1001)
    assert len(polylines(class_chart([long]))[0][1]) == 2


def test_class_without_detections_has_an_empty_line():
    assert polylines(class_chart([curve([], [])])) == [("series-0", [])]


def test_names_are_escaped():
    assert ElementTree.fromstring(class_chart([curve([1], [1], 'a"<b>')])).get("aria-label") == (
        'precision over recall of a"<b>'
    )
