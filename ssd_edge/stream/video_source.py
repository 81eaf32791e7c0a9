"""Frames of a film: a file, or a finite one behind a URL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import cv2
import numpy as np

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import Frame
from ssd_edge.stream.capture import frame_count, frame_rate, open_capture
from ssd_edge.stream.source import Source, SourceInfo

_DO = "Play it elsewhere to see whether it is damaged, or convert it: ffmpeg -i FILE film.mp4"


class VideoSource(Source):
    """Every frame of a film, in order, as fast as it is read.

    Args:
        path: path or URL.
        shown: what to call it.
        loop: begin again after the last frame, for ever.

    Raises:
        InputError: it is not a video that OpenCV can read; and, while iterating, one without a single frame.
    """

    def __init__(self, path: str, shown: str, *, loop: bool = False) -> None:
        self._path, self._loop = path, loop
        self._capture = self._open(shown)
        frames = None if loop else frame_count(self._capture)
        super().__init__(SourceInfo(shown, live=False, fps=frame_rate(self._capture), frames=frames))

    def __iter__(self) -> Iterator[Frame]:
        first_of_lap = 0
        for index in count():
            if self._interrupted.is_set():
                return
            read, image = self._capture.read()
            if not read and self._loop and index > first_of_lap:
                first_of_lap = index
                self._capture.release()
                self._capture = self._open(self.info.name)
                read, image = self._capture.read()
            if not read:
                self._refuse_empty(index)
                return
            yield Frame(np.asarray(image, np.uint8), index, time.monotonic(), self.info.name)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._capture.release()

    def _open(self, shown: str) -> cv2.VideoCapture:
        capture = open_capture(self._path)
        if capture is None:
            raise InputError(
                f"{shown} is not a video that OpenCV can read", wanted="e.g. .mp4, .avi, .mkv, .webm", do=_DO
            )
        return capture

    def _refuse_empty(self, index: int) -> None:
        if index == 0:
            raise InputError(f"{self.info.name} holds no frame that can be decoded", do=_DO)
