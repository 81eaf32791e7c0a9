"""What the pipeline's threads do, between its buffers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ssd_edge.backends.detector import Detector
from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.stream.buffer import FrameBuffer
from ssd_edge.stream.source import Source


@dataclass(frozen=True)
class Captured:
    """A frame that is ready for inference, and what that took."""

    frame: Frame
    prepared: UInt8Array
    capture_s: float
    preprocess_s: float


@dataclass(frozen=True)
class Result:
    """What was found; ``number`` counts frames in the order in which they were taken, without gaps."""

    number: int
    captured: Captured
    detections: Detections
    infer_s: float


def capture(source: Source, prepare: Callable[[UInt8Array], UInt8Array], frames: FrameBuffer[Captured]) -> None:
    """Move frames from the source to the buffer until the one ends or the other is abandoned."""
    try:
        began = time.monotonic()
        for frame in source:
            read = time.monotonic()
            prepared = prepare(frame.image)
            if not frames.put(Captured(frame, prepared, read - began, time.monotonic() - read)):
                return
            began = time.monotonic()
    finally:
        frames.finish()


class Inference:
    """The work of ``detector.workers`` threads, each of which calls :meth:`work` once."""

    def __init__(self, detector: Detector, frames: FrameBuffer[Captured], results: FrameBuffer[Result]) -> None:
        self._detector, self._frames, self._results = detector, frames, results
        self._turn = threading.Lock()
        self._taken = 0
        self._working = detector.workers

    def work(self) -> None:
        """Move frames to results until none comes; an error of one worker ends the capture too."""
        try:
            while (taken := self._take()) is not None:
                if not self._results.put(self._infer(*taken)):
                    return
        finally:
            self._leave()

    def _take(self) -> tuple[int, Captured] | None:
        with self._turn:  # taking and numbering must not be torn apart
            captured = self._frames.get()
            if captured is None:
                return None
            self._taken += 1
            return self._taken - 1, captured

    def _infer(self, number: int, captured: Captured) -> Result:
        began = time.monotonic()
        frame = captured.frame
        detections = self._detector.detect_prepared(captured.prepared, width=frame.width, height=frame.height)
        return Result(number, captured, detections, time.monotonic() - began)

    def _leave(self) -> None:
        self._frames.abandon()
        with self._turn:
            self._working -= 1
            if self._working == 0:
                self._results.finish()
