"""Compares the frames that a camera gives with those that it promises, opened as ``run`` opens it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2

from ssd_edge.streaming.sources.opencv import open_capture

_WARM_UP = 5  # images: a camera sets its exposure first


@dataclass(frozen=True)
class CameraRate:
    """The frames that a camera gave.

    Attributes:
        promised: frames a second, as the driver states them; 0 where it does not.
        delivered: frames a second that were read.
        seconds: for how long.
        size: width and height in pixels.
    """

    promised: float
    delivered: float
    seconds: float
    size: tuple[int, int]

    @property
    def share(self) -> float:
        """Delivered / produced; 0 where the driver promises nothing."""
        return self.delivered / self.promised if self.promised else 0.0

    def __str__(self) -> str:
        width, height = self.size
        share = f", {100 * self.share:.0f} % of the {self.promised:g} promised" if self.promised else ""
        return f"{self.delivered:.1f} frames/s of {width} x {height}{share}"


def measure_rate(
    number: int,
    seconds: float,
    *,
    buffers: int | None = None,
    now: Callable[[], float] = time.monotonic,
) -> CameraRate | None:
    """Return the rate of a camera; None where there is none that can be read.

    Args:
        number: of the camera, V4L2 on Linux.
        seconds: to count for.
        buffers: of the driver; None leaves its own.
        now: the clock, in seconds.
    """
    capture = open_capture(number, cv2.CAP_V4L2 if sys.platform.startswith("linux") else cv2.CAP_ANY)
    if capture is None:
        return None
    try:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if buffers is not None:
            capture.set(cv2.CAP_PROP_BUFFERSIZE, buffers)
        if not all(capture.read()[0] for _ in range(_WARM_UP)):
            return None
        return _counted(capture, seconds, now)
    finally:
        capture.release()


def _counted(capture: cv2.VideoCapture, seconds: float, now: Callable[[], float]) -> CameraRate:
    begun, frames = now(), 0
    while now() - begun < seconds and capture.read()[0]:
        frames += 1
    spent = max(now() - begun, 1e-9)
    promised = float(capture.get(cv2.CAP_PROP_FPS))
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    return CameraRate(promised if 0 < promised < 1000 else 0.0, frames / spent, spent, size)
