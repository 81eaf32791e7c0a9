from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssd_edge.data.sample import LabelledSet, Sample
from ssd_edge.data.statistics import set_statistics


def sample(name: str, boxes: list[list[float]], class_ids: list[int], difficult: list[bool]) -> Sample:
    return Sample(
        Path(name), np.array(boxes, np.float32).reshape(-1, 4), np.array(class_ids, np.int64), np.array(difficult, bool)
    )


def test_counts_and_sizes() -> None:
    samples = (
        sample("a", [[0, 0, 31, 32], [0, 0, 32, 32], [0, 0, 100, 200]], [0, 0, 2], [False, True, False]),
        sample("b", [], [], []),
        sample("c", [[0, 0, 96, 96]], [0], [False]),
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
