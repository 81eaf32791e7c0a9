"""Scaled JPEG decoding: photos far larger than a network needs are decoded at a half, a quarter or an eighth."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2

from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import decode_image, image_bytes
from ssd_edge.core.jpeg import jpeg_frame_size

_FLAGS = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


class ReducedImage(NamedTuple):
    """A picture, upright.

    Attributes:
        pixels: (H, W, 3) uint8 BGR.
        factor: pixels of the file that one of these stands for, across and down: 1, 2, 4 or 8.
    """

    pixels: UInt8Array
    factor: int = 1


def read_reduced(path: Path, *, least_side: int | None) -> ReducedImage:
    """Return the picture, reduced as far as its shorter side keeps ``least_side`` pixels; as it is for None.

    Only JPEG is: of other files all pixels must be decoded first. What is not reduced is what ``read_image`` gives.
    A side that the factor does not divide ends in pixels that stand for fewer of the file's; where EXIF mirrors the
    picture they lie at its beginning, and places are shifted by less than one of them.

    Raises:
        InputError: as ``read_image``.
    """
    data = image_bytes(path)
    stored = jpeg_frame_size(data)
    if stored is not None and least_side is not None:
        factor = next((factor for factor in _FLAGS if min(stored) >= factor * least_side), 1)
        if factor > 1:
            pixels = decode_image(path, data, _FLAGS[factor])
            if sorted(pixels.shape[:2]) == sorted(-(-side // factor) for side in stored):
                return ReducedImage(pixels, factor)
    return ReducedImage(decode_image(path, data))
