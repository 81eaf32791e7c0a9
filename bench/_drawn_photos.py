"""Folders of drawn images: some are drawn, the others are made of them by a shift of place and light each."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ssd_edge.scenes.scene import Scene, draw_series

DRAWN = 200


def write_photos(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Write ``count`` JPEGs of (width, height) pixels, no two alike; a folder that has them is left as it is."""
    if len(list(folder.glob("*.jpg"))) == count:
        return
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [("train", number) for number in range(min(count, DRAWN))]

    def keep(_: int, scene: Scene) -> np.ndarray:
        return scene.image

    drawn = list(draw_series(numbers, size, 0, keep, workers=2))
    for number in range(count):
        image = varied(drawn[number % len(drawn)], number // len(drawn))
        cv2.imwrite(str(folder / f"{number:06d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])


def varied(image: np.ndarray, variant: int) -> np.ndarray:
    """The image moved to the side, what leaves it coming in again, and darker or brighter; variant 0 is itself."""
    if variant == 0:
        return image
    moved = np.roll(image, 7 * variant, axis=1)
    return cv2.convertScaleAbs(moved, alpha=1.0, beta=(variant * 5) % 31 - 15)
