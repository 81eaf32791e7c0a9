"""Frames of a video: a file, or a finite one behind a URL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import Frame
from ssd_edge.core.log import log
from ssd_edge.streaming.sources.base import Source, SourceInfo
from ssd_edge.streaming.sources.opencv import Capture, Opener, frame_count, frame_rate, open_capture, require_utf8

_DO = "Play the file with another program to see whether it is damaged, or convert it: ffmpeg -i FILE video.mp4"
_COUNT_ERROR = 0.02  # of the frames: some containers give a length in seconds, and their count is a guess
_COUNT_ERROR_FRAMES = 3


def open_video(path: Path, *, loop: bool = False) -> VideoSource:
    """Return the video in a file; see :class:`VideoSource`.

    Raises:
        InputError: it is not a video that OpenCV can read, or its name is no UTF-8.
    """
    require_utf8(str(path), str(path))

    def opener() -> cv2.VideoCapture | None:
        return open_capture(str(path))

    capture = opener()
    if capture is None:
        raise InputError(
            f"{path} is not a video that OpenCV can read", wanted="a video such as .mp4, .avi, .mkv or .webm", do=_DO
        )
    return VideoSource(str(path), capture, opener, loop=loop)


class VideoSource(Source):
    """Every frame of a video, in order, as fast as it is read.

    Args:
        shown: what to call it.
        capture: the open video.
        opener: opens it again; returns None where that fails.
        loop: begin again after the last frame, without end.

    Raises:
        InputError: while iterating, a video without a single frame, or one that is gone when its next lap begins.
    """

    def __init__(self, shown: str, capture: Capture, opener: Opener, *, loop: bool = False) -> None:
        self._capture, self._opener, self._loop = capture, opener, loop
        self._announced = frame_count(capture)
        frames = None if loop else self._announced
        super().__init__(SourceInfo(shown, live=False, fps=frame_rate(capture), frames=frames))

    def __iter__(self) -> Iterator[Frame]:
        first_of_lap, lap, began = 0, 0, 0.0
        times = _Times(self.info.fps, lambda: self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        for index in count():
            if self._interrupted.is_set():
                return
            read, image = self._capture.read()
            if not read:
                self._judge_end(index, index - first_of_lap)
            if not read and self._loop:
                first_of_lap, lap = index, lap + 1
                times.begin_lap()
                self._open_again()
                read, image = self._capture.read()
            if not read:
                return
            now = time.monotonic()
            began = now if index == 0 else began
            at = times.of(index, now - began)
            yield Frame(np.asarray(image, np.uint8), index, now, self.info.name, at, segment=lap)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._capture.release()

    def _open_again(self) -> None:
        self._capture.release()
        capture = self._opener()
        if capture is None:
            raise InputError(f"{self.info.name} can no longer be opened", wanted="the unchanged video")
        self._capture = capture

    def _judge_end(self, index: int, frames: int) -> None:
        """Refuse a video without a frame, and report one, on its first lap, that was cut short."""
        if index == 0:
            raise InputError(f"{self.info.name} contains no frame that can be decoded", do=_DO)
        announced = self._announced or 0
        if frames == index and announced - frames > max(_COUNT_ERROR_FRAMES, _COUNT_ERROR * announced):
            log.warning(f"{self.info.name} ends after {frames} of {announced} frames; it is truncated or damaged")


class _Times:
    """Seconds since a video's first frame, by the frames' own time stamps, over all laps.

    Args:
        fps: rate of the video, for where it has no time stamps.
        stamp: returns the time stamp of the frame that was read last, in seconds.
    """

    def __init__(self, fps: float | None, stamp: Callable[[], float]) -> None:
        self._interval = 1 / fps if fps else None
        self._stamp = stamp
        self._first: float | None = None
        self._lap_began = self._last = self._step = 0.0

    def of(self, index: int, elapsed: float) -> float:
        """Return the time of frame ``index``, which was read ``elapsed`` seconds after the first."""
        stamp = self._stamp()
        self._first = stamp if self._first is None else self._first
        found = self._lap_began + stamp - self._first
        if index == 0:
            return 0.0
        if found <= self._last:  # no time stamps, or none that grow
            found = self._last + self._interval if self._interval else max(elapsed, self._last)
        self._step, self._last = found - self._last, found
        return found

    def begin_lap(self) -> None:
        """Go on after the last frame, as long after it as that was after the one before."""
        self._lap_began, self._first = self._last + (self._step or self._interval or 0.0), None
