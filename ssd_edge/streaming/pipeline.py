"""Capture, inference and output side by side, each on its own frame; results come in order.

Threads: one captures and preprocesses, ``detector.workers`` infer, and the caller's takes the results. OpenCV and the
runtimes give up Python's lock while they work. Two buffers join them: frames (the newest only, where the source is
live) and results.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import count, islice
from typing import Generic, Literal, TypeVar

from ssd_edge.backends.detector import Detector
from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.streaming.sources.base import Source
from ssd_edge.streaming.timing import RunClock, RunSummary

_FILE_FRAMES_AHEAD = 2
_POLL_S = 0.1  # how soon a request to stop is seen while no result comes
Policy = Literal["latest", "fifo"]
T = TypeVar("T")


class FrameBuffer(Generic[T]):
    """A bounded buffer for one or more producers and consumers.

    Args:
        policy: what :meth:`put` does when the buffer is full: ``latest`` drops the oldest item and counts it, so that
            a consumer always gets what happened last; ``fifo`` waits, so that nothing is lost.
        capacity: items that fit in.
    """

    def __init__(self, policy: Policy, capacity: int = 1) -> None:
        self._policy, self._capacity = policy, capacity
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._finished = False
        self._abandoned = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Items that were dropped to make room for later ones."""
        return self._dropped

    @property
    def exhausted(self) -> bool:
        """Whether nothing lies here and nothing will come."""
        with self._changed:
            return self._abandoned or (self._finished and not self._items)

    def put(self, item: T) -> bool:
        """Add an item; False where nobody wants items any more, and the producer should stop."""
        with self._changed:
            if self._policy == "fifo":
                self._changed.wait_for(lambda: self._abandoned or len(self._items) < self._capacity)
            elif len(self._items) == self._capacity:
                self._items.popleft()
                self._dropped += 1
            if self._abandoned:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float | None = None) -> T | None:
        """Return the oldest item; None where nothing will come any more, or came within the timeout."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or self._finished or bool(self._items), timeout_s)
            if self._abandoned or not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def finish(self) -> None:
        """Say that nothing more will be put; what lies here can still be taken."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Throw away what lies here and release everyone who waits, on either side."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._changed.notify_all()


@dataclass(frozen=True)
class Captured:
    """A frame that is ready for inference, and what that took."""

    frame: Frame
    pixels: UInt8Array
    capture_s: float
    preprocess_s: float


@dataclass(frozen=True)
class Result:
    """What was found; ``number`` counts frames in the order in which they were taken, without gaps."""

    number: int
    captured: Captured
    detections: Detections
    infer_s: float


def capture(source: Source, preprocess: Callable[[UInt8Array], UInt8Array], frames: FrameBuffer[Captured]) -> None:
    """Move frames from the source to the buffer until the one ends or the other is abandoned."""
    try:
        began = time.monotonic()
        for frame in source:
            read = time.monotonic()
            pixels = preprocess(frame.image)
            if not frames.put(Captured(frame, pixels, read - began, time.monotonic() - read)):
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
        detections = self._detector.detect_preprocessed(captured.pixels, width=frame.width, height=frame.height)
        return Result(number, captured, detections, time.monotonic() - began)

    def _leave(self) -> None:
        self._frames.abandon()
        with self._turn:
            self._working -= 1
            if self._working == 0:
                self._results.finish()


class Pipeline:
    """One run of a source through a detector: call :meth:`run` or :meth:`results`, once.

    Args:
        source: where frames come from; interrupted, but not closed, by the pipeline.
        detector: closed by its owner.
        sinks: where :meth:`run` writes results; closed by their owner.
        max_frames: end after this many results.
        stop: end when it is requested.
        progress: told of each written frame.
    """

    def __init__(
        self,
        source: Source,
        detector: Detector,
        sinks: Sequence[Sink] = (),
        *,
        max_frames: int | None = None,
        stop: StopRequest | None = None,
        progress: Progress = silent,
    ) -> None:
        self._source, self._detector, self._sinks = source, detector, sinks
        self._max_frames, self._stop, self._progress = max_frames, stop or StopRequest(), progress
        self._frames: FrameBuffer[Captured] = (
            FrameBuffer("latest") if source.info.live else FrameBuffer("fifo", _FILE_FRAMES_AHEAD)
        )
        self._results: FrameBuffer[Result] = FrameBuffer("fifo", detector.workers)
        self._clock = RunClock()

    def run(self) -> RunSummary:
        """Run until the source ends or someone stops it; return what it took.

        Raises:
            SsdEdgeError: from the source, the detector or a sink; the results before it are written.
        """
        known = [count for count in (self._max_frames, self._source.info.frames) if count is not None]
        total = min(known, default=None)
        with closing(self.results()) as results:
            for done, result in enumerate(results, start=1):
                self._write(result)
                self._progress(done, total)
        return self._clock.summary(dropped=self._frames.dropped, stopped=self._stop.requested)

    def results(self) -> Generator[Result, None, None]:
        """Yield results in order until the source ends or someone stops it; closing the generator ends the threads.

        Raises:
            SsdEdgeError: from the source or the detector, after the results before it.
        """
        self._detector.warm_up()
        inference = Inference(self._detector, self._frames, self._results)
        self._clock.start()
        with ThreadPoolExecutor(1 + self._detector.workers, "ssd-edge") as threads:
            work = [threads.submit(capture, self._source, self._detector.preprocess, self._frames)]
            work += [threads.submit(inference.work) for _ in range(self._detector.workers)]
            try:
                yield from islice(self._in_order(), self._max_frames)
            finally:
                self._release_threads()
        for done in work:
            done.result()

    def _in_order(self) -> Iterator[Result]:
        """Yield results by number, though several workers finish them in any order."""
        early: dict[int, Result] = {}
        for number in count():
            while number not in early:
                if self._stop.requested:
                    self._stop_capture()
                result = self._results.get(_POLL_S)
                if result is not None:
                    early[result.number] = result
                elif self._results.exhausted:
                    return
            yield early.pop(number)

    def _write(self, result: Result) -> None:
        began = time.monotonic()
        frame = result.captured.frame
        for sink in self._sinks:
            sink.write(frame, result.detections)
        ended = time.monotonic()
        self._clock.add_frame(
            capture=result.captured.capture_s,
            preprocess=result.captured.preprocess_s,
            infer=result.infer_s,
            output=ended - began,
            end_to_end=ended - frame.captured_at,
        )

    def _stop_capture(self) -> None:
        self._source.interrupt()
        self._frames.abandon()

    def _release_threads(self) -> None:
        self._stop_capture()
        self._results.abandon()
