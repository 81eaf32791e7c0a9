from __future__ import annotations

import re
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from importlib.resources import files

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError, MissingPackageError
from ssd_edge.reporting.chart import Panel, Series, chart_svg, round_ticks, save_charts
from ssd_edge.reporting.drawing import COLORS, SERIES_COLORS, shortened

BLUE, AMBER, BLACK = (235, 99, 37), (11, 158, 245), (39, 24, 17)  # BGR


def panel(*series: Series, **fields) -> Panel:
    return Panel("Loss <mean>", "epoch", series, **fields)


def lines(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [line for line in root.iter("polyline") if line.get("class") != "grid"]


def points(line: ElementTree.Element) -> np.ndarray:
    return np.array([[float(number) for number in pair.split(",")] for pair in line.get("points").split()])


def test_lines_run_from_end_to_end_and_from_zero_to_the_top():
    falling, rising = Series("a", (1, 2, 3), (4, 2, 1)), Series("b", (1, 3), (0, 4))
    root = ElementTree.fromstring(chart_svg(panel(falling, rising)))
    assert [line.get("class") for line in lines(root)] == ["series-0", "series-1"]
    a, b = (points(line) for line in lines(root))
    assert a[0, 0] == b[0, 0]
    assert a[2, 0] == b[1, 0]
    assert a[1, 0] == pytest.approx((a[0, 0] + a[2, 0]) / 2)
    assert a[0, 1] == b[1, 1]  # 4 is the top
    bottom, top = b[0, 1], b[1, 1]
    assert (bottom - a[1, 1]) / (bottom - top) == pytest.approx(0.5, abs=0.01)
    assert root.get("aria-label") == "Loss <mean>"


def test_a_single_epoch_is_a_dot_in_the_middle():
    root = ElementTree.fromstring(chart_svg(panel(Series("a", (7,), (0.3,)), top=1.0)))
    (dot,) = root.iter("circle")
    wide = float(root.get("viewBox").split()[2])
    assert abs(float(dot.get("cx")) - wide / 2) < 20
    assert [text.text for text in root.iter("text")][-2:] == ["7", "epoch"]


def test_many_points_have_no_dots_but_the_one_that_is_marked():
    series = Series("a", tuple(range(1, 301)), tuple(np.linspace(0, 0.9, 300)))
    root = ElementTree.fromstring(chart_svg(panel(series, top=1.0, mark=(300, 0.9))))
    assert [circle.get("class") for circle in root.iter("circle")] == ["mark"]


def test_a_line_of_zeros_has_an_axis():
    root = ElementTree.fromstring(chart_svg(panel(Series("a", (1, 2), (0, 0)))))
    assert len({y for _, y in map(tuple, points(lines(root)[0]))}) == 1


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
        (0, 1e20, {}, [0, 1e20]),
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


def square(*series: Series, title: str = "stop") -> Panel:
    return Panel(title, "recall", series, is_unit_square=True)


def curve(name: str, points: int = 30) -> Panel:
    recall = np.linspace(1 / 30, 1, points)
    return square(Series("r", tuple(recall), tuple(1 - recall / 2)), title=name)


def count(image: np.ndarray, color: tuple[int, int, int]) -> int:
    return int(np.count_nonzero((np.abs(image.astype(int) - color) <= 2).all(axis=2)))


def test_a_unit_square_has_a_line_for_each_series_in_the_frame():
    full, poor = Series("a", (0.5, 1), (1, 1)), Series("b", (0, 0.5), (0, 0.5))
    root = ElementTree.fromstring(chart_svg(square(full, poor)))
    assert [line.get("class") for line in lines(root)] == ["series-0", "series-1"]
    assert [line.get("style") for line in lines(root)] == ["stroke-width:4", "stroke-width:2"]  # equal ones stay seen
    a, b = (points(line) for line in lines(root))
    top, right = a[1][1], a[1][0]
    assert a[0] == pytest.approx(((26 + right) / 2, top))  # half the recall is half way from the axis, which is at 26
    assert b[0][1] - top == pytest.approx(2 * (b[1][1] - top))  # precision 0 is twice as far down as 0.5


def test_a_series_without_points_has_an_empty_line():
    (line,) = lines(ElementTree.fromstring(chart_svg(square(Series("a", (), ())))))
    assert (line.get("class"), line.get("points")) == ("series-0", "")


def test_names_are_escaped():
    assert ElementTree.fromstring(chart_svg(curve('a"<b>'))).get("aria-label") == 'a"<b>'


@pytest.mark.parametrize("number", [1, 2, 300])
def test_charts_are_drawn_in_the_colors_of_their_lines(tmp_path, number):
    epochs = tuple(range(1, number + 1))
    three = panel(
        *(Series(label, epochs, tuple(size / n for n in epochs)) for label, size in zip("abc", (6, 2, 4), strict=True))
    )
    save_charts(tmp_path / "curves.png", "Training of $a", [three, panel(Series("a", epochs, epochs))])
    image = cv2.imread(str(tmp_path / "curves.png"))
    assert image.shape[1] == pytest.approx(130 / 72 * (10 + 2 * 390), abs=1)
    assert all(count(image, color) > 20 for color in (BLUE, AMBER, BLACK))
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


@pytest.mark.parametrize(("charts", "columns"), [(1, 1), (3, 3), (4, 3), (20, 5), (40, 5)])
def test_each_unit_square_has_its_place(tmp_path, charts, columns):
    save_charts(tmp_path / "pr.png", "run", [curve(f"class {n}") for n in range(charts)])
    image = cv2.imread(str(tmp_path / "pr.png"))
    assert image.shape[1] == pytest.approx(130 / 72 * (10 + 222 * columns), abs=1)
    blobs, _ = cv2.connectedComponents((np.abs(image.astype(int) - BLUE) <= 60).all(axis=2).astype(np.uint8))
    assert blobs - 1 == charts


def test_an_empty_line_and_odd_names_are_drawn(tmp_path):
    curves = [curve("$x^2", 0), curve("名前"), curve("two\nlines")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_charts(tmp_path / "pr.png", "a_$b_{c", curves)
    assert count(cv2.imread(str(tmp_path / "pr.png")), BLUE) > 100


@pytest.mark.parametrize(
    ("name", "shown"), [("short", "short"), ("a" * 13 + "b" * 14, "a" * 13 + "…" + "b" * 12), ("a$b\nc", "a$b c")]
)
def test_long_names_lose_their_middle(name, shown):
    assert shortened(name, 151) == shown


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackageError, match=r"curves.png needs matplotlib.*pip install matplotlib"):
        save_charts(tmp_path / "curves.png", "run", [curve("a")])


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_charts(tmp_path / "file" / "curves.png", "run", [curve("a")])


def test_files_have_the_colors_of_the_light_page():
    style = files("ssd_edge.reporting").joinpath("page.html").read_text(encoding="utf-8")
    light = dict(re.findall(r"--([\w-]+): (#\w{6})", style.split("@media")[0]))
    assert [light[f"series-{number}"] for number in range(8)] == list(SERIES_COLORS)
    assert {"ink": light["ink"], "soft": light["soft"], "grid": light["line"]} == COLORS
