from __future__ import annotations

import numpy as np
import pytest

from ssd_edge.core.preprocess import preprocess
from ssd_edge.core.spec import InputSpec

SPEC = InputSpec(height=24, width=32, mean=(0, 0, 0), std=(1, 1, 1))


def bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Half-pixel bilinear interpolation, pixel by pixel."""
    out = np.zeros((height, width, 3))
    for row in range(height):
        for col in range(width):
            y = np.clip((row + 0.5) * image.shape[0] / height - 0.5, 0, image.shape[0] - 1)
            x = np.clip((col + 0.5) * image.shape[1] / width - 0.5, 0, image.shape[1] - 1)
            top, left = int(y), int(x)
            down, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            fy, fx = y - top, x - left
            upper = image[top, left] * (1 - fx) + image[top, right] * fx
            lower = image[down, left] * (1 - fx) + image[down, right] * fx
            out[row, col] = upper * (1 - fy) + lower * fy
    return out


@pytest.mark.parametrize("shape", [(48, 64), (17, 91), (1, 1), (24, 32), (7, 200)])
def test_resize_is_bilinear_with_half_pixel_centres(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = preprocess(image, SPEC)
    assert found.shape == (24, 32, 3)
    assert found.dtype == np.uint8
    assert np.abs(found - bilinear(image.astype(float), 24, 32)).max() <= 1.0


@pytest.mark.parametrize("shape", [(48, 64, 3), (24, 32, 3)])
def test_out_receives_the_pixels(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    out = np.zeros((24, 32, 3), np.uint8)
    found = preprocess(image, SPEC, out)
    assert np.shares_memory(found, out)
    assert np.array_equal(out, preprocess(image, SPEC))


def test_right_size_is_not_copied() -> None:
    image = np.zeros((24, 32, 3), np.uint8)
    assert preprocess(image, SPEC) is image
