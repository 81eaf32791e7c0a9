from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.sample import LabelledObject, LabelledSet, Sample
from ssd_edge.data.statistics import set_statistics


def sample(
    name: str, boxes: list[list[float]], areas: list[float], class_ids: list[int], difficult: list[int]
) -> Sample:
    objects = [
        LabelledObject("xyz"[number], (x1, y1, x2, y2), area, bool(hard))
        for (x1, y1, x2, y2), area, number, hard in zip(boxes, areas, class_ids, difficult, strict=True)
    ]
    return Sample.from_objects(Path(name), objects, ("x", "y", "z"), origin=Path("t"))


def test_counts_and_sizes() -> None:
    samples = (
        sample("a", [[0, 0, 31, 32], [0, 0, 32, 32], [0, 0, 100, 200]], [992, 1024, 9216], [0, 0, 2], [0, 1, 0]),
        sample("b", [], [], [], []),
        sample("c", [[0, 0, 96, 96]], [9217], [0], [0]),
    )
    found = set_statistics(LabelledSet(("x", "y", "z"), samples, "t"), {Path("a"): (200, 400), Path("b"): (200, 400)})
    assert (found.images, found.empty_images, found.objects, found.difficult) == (3, 1, 4, 1)
    assert found.per_class == {"x": 3, "y": 0, "z": 1}
    assert found.images_per_class == {"x": 2, "y": 0, "z": 1}
    assert found.coco_sizes == {"small": 1, "medium": 2, "large": 1}
    assert found.relative_sizes[-1] == pytest.approx(np.percentile([0.1114, 0.1131, 0.5], 99), abs=1e-3)
    assert found.aspects[3] == pytest.approx(np.median([31 / 32, 1, 0.5, 1]))
    assert found.objects_per_image[3] == 1
    assert found.picture_sizes == {"200x400": 2}


def test_nothing_has_no_percentiles() -> None:
    found = set_statistics(LabelledSet(("x",), (), "t"), {})
    assert (found.objects, found.relative_sizes, found.per_class) == (0, (), {"x": 0})
