from __future__ import annotations

import pytest
import torch

from ssd_edge.model.anchors import MapSize
from ssd_edge.model.backbones.compact import CompactBackbone, level_count


@pytest.mark.parametrize(
    ("side", "cells"),
    [
        (64, [8, 4, 2]),
        (96, [12, 6, 3]),
        (160, [20, 10, 5, 3]),
        (192, [24, 12, 6, 3]),
        (320, [40, 20, 10, 5, 3]),
        (512, [64, 32, 16, 8, 4, 2]),
    ],
)
def test_maps_start_at_stride_8_and_end_at_2_or_3_cells(side: int, cells: list[int]) -> None:
    with torch.device("meta"):
        maps = CompactBackbone(MapSize(side, side)).eval()(torch.zeros(1, 3, side, side))
    assert [tuple(features.shape[2:]) for features in maps] == [(count, count) for count in cells]
    assert level_count(MapSize(side, side)) == len(cells)


def test_the_longer_side_decides() -> None:
    assert level_count(MapSize(64, 192)) == level_count(MapSize(192, 64)) == level_count(MapSize(192, 192)) == 4
