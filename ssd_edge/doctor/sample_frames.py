"""Pictures for the self-test: coloured squares on grey noise, and where they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssd_edge.core.frame import FloatArray, IntArray, UInt8Array
from ssd_edge.doctor.sample_model import COLOURS, SIDE, SIZES, STRIDE

_MARGIN = 4
_NEAR = 2  # pixels from a cell's centre, in each direction
_GAP = 20  # between two squares, so that the filters of one do not see the other


@dataclass(frozen=True)
class SampleFrame:
    """A picture and its truth.

    Attributes:
        image: (128, 128, 3) BGR.
        boxes: (N, 4) float32 x1 y1 x2 y2 in pixels.
        class_ids: (N,) int64, into ``COLOURS``.
    """

    image: UInt8Array
    boxes: FloatArray
    class_ids: IntArray


def sample_frames(count: int, seed: int = 0) -> list[SampleFrame]:
    """Return pictures of one to three squares each; the same seed draws the same ones."""
    generator = np.random.default_rng(seed)
    return [_draw(generator) for _ in range(count)]


def _draw(generator: np.random.Generator) -> SampleFrame:
    image = generator.integers(100, 156, (SIDE, SIDE, 1)).repeat(3, axis=2).astype(np.uint8)
    boxes: list[tuple[int, int, int, int]] = []
    class_ids: list[int] = []
    for _ in range(int(generator.integers(1, 4))):
        box = _free_place(generator, boxes)
        if box is None:
            continue
        colour = int(generator.integers(len(COLOURS)))
        x1, y1, x2, y2 = box
        image[y1:y2, x1:x2] = 40
        image[y1:y2, x1:x2, len(COLOURS) - 1 - colour] = generator.integers(215, 256)
        boxes.append(box)
        class_ids.append(colour)
    return SampleFrame(image, np.array(boxes, np.float32).reshape(-1, 4), np.array(class_ids, np.int64))


def _free_place(
    generator: np.random.Generator, taken: list[tuple[int, int, int, int]]
) -> tuple[int, int, int, int] | None:
    """Return a square that keeps its distance from the others; None where twenty tries find none."""
    for _ in range(20):
        side = int(generator.choice(SIZES))
        x, y = (_near_a_cell(generator, side) for _ in range(2))
        box = (x, y, x + side, y + side)
        if all(_apart(box, other) for other in taken):
            return box
    return None


def _near_a_cell(generator: np.random.Generator, side: int) -> int:
    """Return where a square begins whose centre lies near that of a cell: between two the better box is not certain."""
    places = np.arange(_MARGIN, SIDE - _MARGIN - side)
    beside = (places + side / 2 - STRIDE / 2 + _NEAR) % STRIDE
    return int(generator.choice(places[beside <= 2 * _NEAR]))


def _apart(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return (
        one[0] >= other[2] + _GAP or other[0] >= one[2] + _GAP or one[1] >= other[3] + _GAP or other[1] >= one[3] + _GAP
    )
