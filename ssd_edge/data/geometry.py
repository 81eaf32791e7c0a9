"""The geometry of augmentation: which window of the world is seen, and where pixels and boxes land.

A window is x1 y1 x2 y2 in whole pixels of the source image. It may reach over the image's edges: zooming out is
seeing a larger window, cropping a smaller one. So the chain zoom-out, crop, flip, resize touches each pixel once, at
the size of the input, and the enlarged canvas never exists.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ssd_edge.core.frame import FloatArray, IntArray, UInt8Array

Bgr = tuple[float, float, float]
Recolour = Callable[[UInt8Array], UInt8Array]


def _as_it_is(image: UInt8Array) -> UInt8Array:
    return image


def zoom_out(window: IntArray, max_ratio: float, rng: np.random.Generator) -> IntArray:
    """Return a window 1 to ``max_ratio`` times as wide and high that holds ``window`` at a random place."""
    sides = window[2:] - window[:2]
    canvas = np.floor(sides * rng.uniform(1.0, max_ratio)).astype(np.int64)
    corner = window[:2] - rng.integers(0, canvas - sides, endpoint=True)
    return np.concatenate([corner, corner + canvas])


def render(
    image: UInt8Array, window: IntArray, *, width: int, height: int, fill: Bgr, recolour: Recolour = _as_it_is
) -> UInt8Array:
    """Return the window of the image, stretched to ``height`` x ``width``; outside the image lies ``fill``.

    ``recolour`` changes the image's own pixels, never the fill. Inside the image the stretching is that of
    ``core.preprocess``, to the bit. A window over the edge shows objects smaller than the camera will; it is averaged
    down by a whole factor first, for bilinear sampling alone would skip pixels.
    """
    part, origin = _visible_part(image, window)
    if part.size == 0:
        return np.full((height, width, 3), fill, np.uint8)
    if part.shape[:2] == (window[3] - window[1], window[2] - window[0]):
        return recolour(np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8))
    shrunk = recolour(_averaged_down(part, window, width=width, height=height))
    return _placed(shrunk, part.shape, origin, window, width=width, height=height, fill=fill)


def boxes_in_window(boxes: FloatArray, window: IntArray, *, width: int, height: int) -> FloatArray:
    """Return (N, 4) boxes as they lie in the window stretched to ``width`` x ``height``, cut off at its edges."""
    scale = np.array([width, height], np.float64) / (window[2:] - window[:2])
    placed = (boxes - np.tile(window[:2], 2)) * np.tile(scale, 2)
    return np.asarray(np.clip(placed, 0, np.array([width, height, width, height])), np.float32)


def flip_boxes(boxes: FloatArray, *, width: int) -> FloatArray:
    """Return the boxes as they lie in the mirrored image."""
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1).astype(np.float32)


def _visible_part(image: UInt8Array, window: IntArray) -> tuple[UInt8Array, IntArray]:
    """The pixels of the image that the window shows, as a view, and the part's top left corner in the image."""
    limit = np.array([image.shape[1], image.shape[0]] * 2)
    x1, y1, x2, y2 = np.clip(window, 0, limit)
    return image[y1:y2, x1:x2], np.array([x1, y1])


def _averaged_down(part: UInt8Array, window: IntArray, *, width: int, height: int) -> UInt8Array:
    """Shrink by the largest whole factor that leaves at least the final resolution."""
    across = max(int((window[2] - window[0]) / width), 1)
    down = max(int((window[3] - window[1]) / height), 1)
    if across == 1 and down == 1:
        return part
    size = (max(round(part.shape[1] / across), 1), max(round(part.shape[0] / down), 1))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def _placed(
    shrunk: UInt8Array,
    part_shape: tuple[int, ...],
    origin: IntArray,
    window: IntArray,
    *,
    width: int,
    height: int,
    fill: Bgr,
) -> UInt8Array:
    """Draw the shrunk part where it lies in the window, to a fraction of a pixel; pixel centers are at halves."""
    stretch = np.array([width, height]) / (window[2:] - window[:2])
    scale = stretch * [part_shape[1] / shrunk.shape[1], part_shape[0] / shrunk.shape[0]]
    shift = (origin - window[:2]) * stretch + 0.5 * scale - 0.5
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    return np.asarray(
        cv2.warpAffine(shrunk, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=fill), np.uint8
    )
