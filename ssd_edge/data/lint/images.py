"""Every image's file looked at once: whether it is whole, how large it is, and what it shows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import bytes_digest, file_digest
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.images import decode_image, image_bytes
from ssd_edge.core.progress import Progress, silent
from ssd_edge.data.image_size import image_size

SKETCH_SIDE = 16
_MAX_THREADS = 16


@dataclass(frozen=True)
class ExaminedImage:
    """Facts about an image file.

    Attributes:
        size: (width, height) of the upright image; None where it cannot be read.
        digest: ``sha256:…`` of the file; empty where it cannot be read.
        sketch: (16, 17) gray image; None where the pixels were not looked at.
        fault: why it cannot be read; empty where it can.
    """

    size: tuple[int, int] | None
    digest: str = ""
    sketch: UInt8Array | None = None
    fault: str = ""


def examine_images(images: Iterable[Path], *, pixels: bool, progress: Progress = silent) -> dict[Path, ExaminedImage]:
    """Return what each file is, each looked at once, several at a time.

    Args:
        images: files.
        pixels: decode them too, in an eighth of their size; else headers and end markers are looked at.
        progress: receives every image.
    """
    paths = list(dict.fromkeys(images))
    examined: dict[Path, ExaminedImage] = {}
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MAX_THREADS)) as pool:
        for path, found in zip(paths, pool.map(lambda path: _examine(path, pixels=pixels), paths), strict=True):
            examined[path] = found
            progress(len(examined), len(paths))
    return examined


def _examine(path: Path, *, pixels: bool) -> ExaminedImage:
    try:
        size = image_size(path)  # all that the readers look at
        if not pixels:
            return ExaminedImage(size, file_digest(path))
        data = image_bytes(path)
        return ExaminedImage(size, bytes_digest(data), _sketch(path, data))
    except InputError as error:
        return ExaminedImage(None, fault=str(error))


def _sketch(path: Path, data: bytes) -> UInt8Array:
    grey = decode_image(path, data, cv2.IMREAD_REDUCED_GRAYSCALE_8)
    return np.asarray(cv2.resize(grey, (SKETCH_SIDE + 1, SKETCH_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
