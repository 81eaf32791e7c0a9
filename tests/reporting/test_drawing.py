"""Shapes as SVG and as PNG."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.reporting.drawing import Dot, Drawing, Label, Line, Raster, save_png, svg

DOT = Dot((80, 80), 2, "mark")


def test_images_are_in_the_png_and_left_out_of_svg(tmp_path: Path) -> None:
    image = np.full((10, 10, 3), (20, 200, 40), np.uint8)
    shapes = (
        Line(((0, 50), (100, 50)), "series-0"), Raster((10, 10), (30, 30), image), DOT, Label((5, 95), "a"),
    )  # fmt: skip
    root = ElementTree.fromstring(svg(Drawing(100, 100, shapes, "a & b")))
    assert sorted(shape.tag for shape in root) == ["circle", "polyline", "text"]
    assert root.get("aria-label") == "a & b"
    pytest.importorskip("matplotlib")
    save_png(tmp_path / "a.png", Drawing(100, 100, shapes))
    found = cv2.imread(str(tmp_path / "a.png"))
    scale = found.shape[0] / 100
    rows, columns = np.nonzero((np.abs(found.astype(int) - image[0, 0]) <= 2).all(axis=2))
    ends = np.array([rows.min(), rows.max() + 1, columns.min(), columns.max() + 1]) / scale
    np.testing.assert_allclose(ends, [10, 40, 10, 40], atol=1)


def test_what_is_moved_keeps_its_shape() -> None:
    drawing = Drawing(10, 10, (Line(((1, 2), (3, 4)), "grid"), Dot((5, 6), 2, "mark"), Label((7, 8), "a")))
    line, dot, label = drawing.moved(10, 20)
    assert (line.points, dot.at, label.at) == (((11, 22), (13, 24)), (15, 26), (17, 28))  # type: ignore[union-attr]
