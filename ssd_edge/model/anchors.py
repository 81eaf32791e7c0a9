"""Anchors: where they lie (SSD, section 2.2) and the tables that published detectors use for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray
from ssd_edge.core.spec import AnchorClip, AnchorLevel, AnchorSpec

Ratios = Sequence[Sequence[float]]
"""Aspect ratios above 1 of each level; a ratio r stands for r and 1/r."""


class MapSize(NamedTuple):
    """Cells of a feature map."""

    rows: int
    cols: int


def anchor_boxes(spec: AnchorSpec) -> FloatArray:
    """Return (A, 4) float32 cx cy w h in 0..1: level by level, row by row, the boxes of a cell innermost.

    Raises:
        InputError: the spec is of an imported graph, which holds its anchors itself.
    """
    if spec.table is not None:
        raise InputError(
            "the anchors cannot be computed from a rule", got=f"a table of {spec.count} in an imported graph"
        )
    boxes = np.concatenate([_level_boxes(level) for level in spec.levels])
    if spec.clip == "size":
        boxes[:, 2:] = boxes[:, 2:].clip(0, 1)
    elif spec.clip == "centre":
        boxes = boxes.clip(0, 1)
    return boxes.astype(np.float32)


def linear_scales(levels: int, smallest: float, largest: float) -> tuple[float, ...]:
    """Return the paper's s_k (equation 4) and one more, s_k+1 of the last level, a step above ``largest``.

    A single level gets ``smallest`` and ``largest``.
    """
    if levels == 1:
        return (smallest, largest)
    step = (largest - smallest) / (levels - 1)
    return tuple(smallest + step * k for k in range(levels + 1))


def anchors_from_scales(
    maps: Sequence[MapSize],
    input_size: MapSize,
    *,
    scales: Sequence[float],
    ratios: Ratios,
    steps: Sequence[float] | None = None,
    clip: AnchorClip = "none",
) -> AnchorSpec:
    """Lay anchors on ``maps`` from scales that are fractions of the input's side.

    The side of an input that is no square is √(width · height); boxes of ratio 1 are squares of pixels.

    A cell holds s_k, √(s_k · s_k+1), then (s_k·√r, s_k/√r) and (s_k/√r, s_k·√r) for each ratio.

    Args:
        maps: feature maps, finest first.
        input_size: rows and cols of the network's input, in pixels.
        scales: one per map and one more.
        ratios: of each map.
        steps: pixels between cell centers of each map; by default the cells divide the input evenly.
        clip: see :class:`AnchorSpec`.

    Raises:
        InputError: the tables have different lengths.
    """
    _check_lengths(len(maps), scales=(scales, 1), ratios=(ratios, 0), steps=(steps, 0))
    side = math.sqrt(input_size.rows * input_size.cols)
    wide, high = side / input_size.cols, side / input_size.rows
    levels = []
    for k, cells in enumerate(maps):
        extra = math.sqrt(scales[k] * scales[k + 1])
        sizes = _cell_sizes((scales[k] * wide, scales[k] * high), (extra * wide, extra * high), ratios[k])
        levels.append(AnchorLevel(cells.rows, cells.cols, _step(cells, input_size, steps, k), sizes))
    return AnchorSpec(tuple(levels), clip)


def anchors_from_sizes(
    maps: Sequence[MapSize],
    input_size: MapSize,
    *,
    min_sizes: Sequence[float],
    max_sizes: Sequence[float],
    ratios: Ratios,
    steps: Sequence[float] | None = None,
    clip: AnchorClip = "none",
) -> AnchorSpec:
    """Lay anchors on ``maps`` from tables in pixels of the input, as the original code writes them.

    A cell holds min, √(min · max), then min at each ratio, in the order of :func:`anchors_from_scales`.

    Args:
        maps: feature maps, finest first.
        input_size: rows and cols of the network's input, in pixels.
        min_sizes: of each map, in pixels.
        max_sizes: of each map, in pixels.
        ratios: of each map.
        steps: pixels between cell centers of each map; by default the cells divide the input evenly.
        clip: see :class:`AnchorSpec`.

    Raises:
        InputError: the tables have different lengths.
    """
    _check_lengths(len(maps), min_sizes=(min_sizes, 0), max_sizes=(max_sizes, 0), ratios=(ratios, 0), steps=(steps, 0))
    levels = []
    for k, cells in enumerate(maps):
        extra = math.sqrt(min_sizes[k] * max_sizes[k])
        small = (min_sizes[k] / input_size.cols, min_sizes[k] / input_size.rows)
        sizes = _cell_sizes(small, (extra / input_size.cols, extra / input_size.rows), ratios[k])
        levels.append(AnchorLevel(cells.rows, cells.cols, _step(cells, input_size, steps, k), sizes))
    return AnchorSpec(tuple(levels), clip)


def _cell_sizes(
    small: tuple[float, float], extra: tuple[float, float], ratios: Sequence[float]
) -> tuple[tuple[float, float], ...]:
    width, height = small
    sizes = [small, extra]
    for ratio in ratios:
        root = math.sqrt(ratio)
        sizes += [(width * root, height / root), (width / root, height * root)]
    return tuple(sizes)


def _step(cells: MapSize, input_size: MapSize, steps: Sequence[float] | None, level: int) -> tuple[float, float]:
    if steps is None:
        return (1 / cells.rows, 1 / cells.cols)
    return (steps[level] / input_size.rows, steps[level] / input_size.cols)


def _level_boxes(level: AnchorLevel) -> npt.NDArray[np.float64]:
    step_y, step_x = level.step
    boxes = np.empty((level.rows, level.cols, len(level.sizes), 4), np.float64)
    boxes[..., 0] = ((np.arange(level.cols) + 0.5) * step_x)[None, :, None]
    boxes[..., 1] = ((np.arange(level.rows) + 0.5) * step_y)[:, None, None]
    boxes[..., 2:] = np.array(level.sizes, np.float64)
    return boxes.reshape(-1, 4)


def _check_lengths(levels: int, **tables: tuple[Sequence[object] | None, int]) -> None:
    for name, (table, more) in tables.items():
        if table is not None and len(table) != levels + more:
            raise InputError(
                f"the anchor table {name} does not match the network's {levels} feature maps",
                got=f"{len(table)} entries",
                wanted=f"{levels + more}",
            )
