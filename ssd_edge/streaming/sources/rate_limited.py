"""A video or list of images played at a steady rate, as a camera would give it."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator

from ssd_edge.core.config import shown_number
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.sources.base import Source


class RateLimitedSource(Source):
    """Gives each frame of another source at its time, whether anyone is ready for it or not.

    Args:
        source: what to play; closed with this one.
        fps: frames a second.
        clock: seconds, like ``time.monotonic``.
        wait: sleeps for some seconds and returns whether it was interrupted; by default until :meth:`interrupt`.

    Raises:
        InputError: a rate that is not positive, or no number.
    """

    def __init__(
        self,
        source: Source,
        fps: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        if not (0 < fps < math.inf and 1 / fps <= threading.TIMEOUT_MAX):
            raise InputError("--pace is out of range", got=f"{shown_number(fps)} FPS", wanted="a number above 0")
        super().__init__(dataclasses.replace(source.info, live=True, fps=fps))
        self._source, self._period_s, self._clock = source, 1 / fps, clock
        self._wait = wait or self._interrupted.wait

    def __iter__(self) -> Iterator[Frame]:
        due = began = self._clock()
        for frame in self._source:
            if self._wait(max(0.0, due - self._clock())):
                return
            now = self._clock()
            began = now if frame.index == 0 else began
            yield dataclasses.replace(frame, captured_at=now, time=now - began)
            # A reader that is too slow for the pace delays the video; it does not make it race afterwards.
            due = max(due, now - self._period_s) + self._period_s

    def interrupt(self) -> None:
        """End the wait and the source beneath."""
        super().interrupt()
        self._source.interrupt()

    def close(self) -> None:
        """Close the source beneath."""
        super().close()
        self._source.close()
        self.left_out = self._source.left_out
