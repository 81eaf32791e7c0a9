"""A drawn video: a camera drives past signs, and the truth about every frame is known."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from ssd_edge.core.frame import UInt8Array
from ssd_edge.scenes.drive import Drive
from ssd_edge.scenes.scene import Scene

FPS = 30.0

_SPEED_M_PER_S = 8.0
_NOISE = 4.0  # deviation, in levels
_NOISE_ROOM = 64  # the noise is one plane, seen at another offset in each frame


def draw_video(frames: int, size: tuple[int, int], seed: int) -> Iterator[tuple[float, Scene]]:
    """Yield the frames of a drive, ``FPS`` a second: the time of each in seconds, and its scene.

    Args:
        frames: 1 or more.
        size: (width, height).
        seed: of the road and everything on it, 0 or more.
    """
    width, height = size
    drive = Drive(height, width, length=frames / FPS * _SPEED_M_PER_S, seed=seed)
    noise = _noise_plane(height, width, seed)
    rng = np.random.default_rng([seed, 1])
    for frame in range(frames):
        seconds = frame / FPS
        scene = drive.view(seconds * _SPEED_M_PER_S, seconds)
        yield seconds, Scene(_noisy(scene.image, noise, rng), scene.objects)


def _noise_plane(height: int, width: int, seed: int) -> npt.NDArray[np.int16]:
    shape = (height + _NOISE_ROOM, width + _NOISE_ROOM, 1)
    plane = np.random.default_rng([seed, 2]).standard_normal(shape, dtype=np.float32) * _NOISE
    return np.repeat(np.rint(plane).astype(np.int16), 3, axis=2)


def _noisy(image: UInt8Array, noise: npt.NDArray[np.int16], rng: np.random.Generator) -> UInt8Array:
    top, left = (int(value) for value in rng.integers(0, _NOISE_ROOM, 2))
    window = noise[top : top + image.shape[0], left : left + image.shape[1]]
    return np.asarray(cv2.add(image, window, dtype=cv2.CV_8U), np.uint8)
