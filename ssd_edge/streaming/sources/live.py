"""Frames that come by themselves: cameras and streams, opened again when they stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy.typing as npt

from ssd_edge.core.errors import DeviceError
from ssd_edge.core.frame import Frame
from ssd_edge.core.images import as_bgr
from ssd_edge.core.log import log
from ssd_edge.streaming.sources.base import Source, SourceInfo
from ssd_edge.streaming.sources.opencv import Capture, Opener, frame_rate


@dataclass(frozen=True)
class Reconnect:
    """How often, and after what waits, a source that stopped is opened again.

    Attributes:
        attempts: tries after each stop; 0 makes a stop final.
        first_wait_s: before the first try; each later wait is twice as long.
        longest_wait_s: no wait is longer.
    """

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 8.0

    def wait_s(self, attempt: int) -> float:
        """Return the wait before try number ``attempt``, from 0."""
        return float(min(self.first_wait_s * 2**attempt, self.longest_wait_s))


class LiveSource(Source):
    """A camera or stream.

    Args:
        shown: what to call it.
        capture: the open device.
        opener: opens it again; returns None where that fails.
        reconnect: what to do when it stops.

    Raises:
        DeviceError: while iterating, where it gives no frame or has stopped for good.
    """

    def __init__(self, shown: str, capture: Capture, opener: Opener, *, reconnect: Reconnect) -> None:
        self._opener, self._reconnect = opener, reconnect
        self._capture: Capture | None = capture
        super().__init__(SourceInfo(shown, live=True, fps=frame_rate(capture)))

    def __iter__(self) -> Iterator[Frame]:
        began = 0.0
        for index in count():
            image = self._read()
            if image is None and index == 0 and not self._interrupted.is_set():
                raise DeviceError(
                    f"{self.info.name} gives no frames", do="See that no other program uses it, and that it is on."
                )
            image = self._read_again(index) if image is None else image
            if image is None or self._interrupted.is_set():
                return
            now = time.monotonic()
            began = now if index == 0 else began
            yield Frame(as_bgr(image, origin=self.info.name), index, now, self.info.name, now - began)

    def close(self) -> None:
        """Release the device."""
        super().close()
        self._release()

    def _read(self) -> npt.NDArray[Any] | None:
        if self._capture is None:
            return None
        read, image = self._capture.read()
        return image if read else None

    def _read_again(self, index: int) -> npt.NDArray[Any] | None:
        """Open the source until it gives a frame; None when interrupted meanwhile."""
        for attempt in range(self._reconnect.attempts):
            wait = self._reconnect.wait_s(attempt)
            tries = f"try {attempt + 1} of {self._reconnect.attempts}"
            log.warning(f"{self.info.name} stopped after {index} frames; opening it again in {wait:g} s ({tries})")
            self._release()
            if self._interrupted.wait(wait):
                return None
            self._capture = self._opener()
            if (image := self._read()) is not None:
                log.info(f"{self.info.name} is back")
                return image
        if self._interrupted.is_set():
            return None
        raise DeviceError(
            f"{self.info.name} stopped after {index} frames",
            got=f"no frame after {self._reconnect.attempts} tries to open it again",
            do="See that it is on and connected; --reconnect N tries longer.",
        )

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None
