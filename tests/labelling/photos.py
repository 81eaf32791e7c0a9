"""Images with one bright rectangle each, which the hand-made model finds, and the boxes that are right."""

from __future__ import annotations

import tarfile
from pathlib import Path

import cv2
import numpy as np

SIZE = (128, 64)


def image_of(number: int) -> np.ndarray:
    """A rectangle whose place tells the number; its sides fall on pixels of the 64 x 64 input."""
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    x1, y1, x2, y2 = box_of(number)
    image[y1:y2, x1:x2] = 255
    return image


def box_of(number: int) -> tuple[int, int, int, int]:
    left, top = 2 * (number % 20), number % 23
    return left, top, left + 40, top + 30


def write_photos(folder: Path, count: int, *, first: int = 0) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.png" for number in range(first, first + count)]
    for number, path in enumerate(paths, start=first):
        cv2.imwrite(str(path), image_of(number))
    return paths


def write_tar(path: Path, files: list[Path]) -> Path:
    """A WebDataset shard: each image with a label beside it."""
    with tarfile.open(path, "w") as tar:
        for file in files:
            tar.add(file, file.name)
            label = file.with_suffix(".cls")
            label.write_text("1")
            tar.add(label, label.name)
            label.unlink()
    return path
