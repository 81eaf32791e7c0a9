"""A border of one color around an image of bytes: ``Max`` of the image, padded with 0, and a canvas black inside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ssd_edge.core.frame import UInt8Array


def border(
    height: int, width: int, pads: Sequence[int], color: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], UInt8Array]:
    """Return what ``Pad`` takes for (B, H, W, 3), and the canvas (1, H', W', 3).

    Args:
        height: of the image.
        width: of it.
        pads: rows above, columns to the left, rows below, columns to the right.
        color: of the border, three values in the image's order.
    """
    top, left, bottom, right = pads
    canvas = np.empty((1, height + top + bottom, width + left + right, 3), np.uint8)
    canvas[:] = color
    canvas[:, top : top + height, left : left + width] = 0
    return np.array([0, top, left, 0, 0, bottom, right, 0], np.int64), canvas
