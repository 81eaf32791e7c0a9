from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from ssd_edge.reporting.chart import Panel, Series, line_chart, round_ticks


def panel(*series: Series, **fields) -> Panel:
    return Panel("Loss <mean>", "epoch", series, **fields)


def points(line: ElementTree.Element) -> np.ndarray:
    return np.array([[float(number) for number in pair.split(",")] for pair in line.get("points").split()])


def test_lines_run_from_end_to_end_and_from_zero_to_the_top():
    falling, rising = Series("a", (1, 2, 3), (4, 2, 1)), Series("b", (1, 3), (0, 4))
    root = ElementTree.fromstring(line_chart(panel(falling, rising)))
    assert [group.get("class") for group in root.iter("g")] == ["series-0", "series-1"]
    a, b = (points(line) for line in root.iter("polyline"))
    assert a[0, 0] == b[0, 0]
    assert a[2, 0] == b[1, 0]
    assert a[1, 0] == pytest.approx((a[0, 0] + a[2, 0]) / 2)
    assert a[0, 1] == b[1, 1]  # 4 is the top
    bottom, top = b[0, 1], b[1, 1]
    assert (bottom - a[1, 1]) / (bottom - top) == pytest.approx(0.5, abs=0.01)
    assert root.get("aria-label") == "Loss <mean>"


def test_a_single_epoch_is_a_dot_in_the_middle():
    root = ElementTree.fromstring(line_chart(panel(Series("a", (7,), (0.3,)), top=1.0)))
    (dot,) = root.iter("circle")
    wide = float(root.get("viewBox").split()[2])
    assert abs(float(dot.get("cx")) - wide / 2) < 20
    assert [text.text for text in root.iter("text")][-2:] == ["7", "epoch"]


def test_many_points_have_no_dots_but_the_one_that_is_marked():
    series = Series("a", tuple(range(1, 301)), tuple(np.linspace(0, 0.9, 300)))
    root = ElementTree.fromstring(line_chart(panel(series, top=1.0, mark=(300, 0.9))))
    assert [circle.get("class") for circle in root.iter("circle")] == ["mark"]


def test_a_line_of_zeros_has_an_axis():
    root = ElementTree.fromstring(line_chart(panel(Series("a", (1, 2), (0, 0)))))
    assert len({y for _, y in map(tuple, points(next(root.iter("polyline"))))}) == 1


@pytest.mark.parametrize(
    ("low", "high", "options", "ticks"),
    [
        (0, 1, {}, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 13.3, {"most": 7}, [0, 2, 4, 6, 8, 10, 12]),
        (0, 0.0123, {"most": 4}, [0, 0.005, 0.01]),
        (1, 3, {"whole": True}, [1, 2, 3]),
        (0.5, 1.5, {"whole": True}, [1]),
        (1, 300, {"whole": True}, [50, 100, 150, 200, 250, 300]),
        (1, 300, {"whole": True, "most": 5}, [100, 200, 300]),
        (0, 3e-7, {}, [0, 1e-7, 2e-7, 3e-7]),
    ],
)
def test_ticks_are_round(low, high, options, ticks):
    assert round_ticks(low, high, **options) == pytest.approx(ticks)


@pytest.mark.parametrize("high", [1e-9, 0.3, 1, 7, 99, 12345, 1e9])
def test_ticks_are_few_and_inside(high):
    ticks = round_ticks(0, high)
    assert 2 <= len(ticks) <= 6
    assert all(0 <= tick <= high * (1 + 1e-9) for tick in ticks)
    assert str(ticks[0]) == "0.0"
