"""Capture, inference and output side by side: each stage works on its own frame, in order.

Threads: one captures, ``detector.workers`` infer, and the caller's writes. OpenCV and the runtimes give up Python's
lock while they work. Two buffers join them: frames (the newest only, where the source is live) and results.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from ssd_edge.backends.detector import Detector
from ssd_edge.core.progress import Progress, silent
from ssd_edge.stream.buffer import FrameBuffer
from ssd_edge.stream.sink import Sink
from ssd_edge.stream.source import Source
from ssd_edge.stream.stages import Captured, Inference, Result, capture
from ssd_edge.stream.stop import StopRequest
from ssd_edge.stream.summary import RunClock, RunSummary

_FILE_FRAMES_AHEAD = 2
_POLL_S = 0.1  # how soon a request to stop is seen while no result comes


class Pipeline:
    """One run of a source through a detector.

    Args:
        source: where frames come from; interrupted, but not closed, by the pipeline.
        detector: closed by its owner.
        sinks: where results go; closed by their owner.
        max_frames: end after this many results.
        stop: end when it is requested.
        progress: told of each written frame.
    """

    def __init__(
        self,
        source: Source,
        detector: Detector,
        sinks: Sequence[Sink],
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
        self._detector.warm_up()
        inference = Inference(self._detector, self._frames, self._results)
        self._clock.start()
        with ThreadPoolExecutor(1 + self._detector.workers, "ssd-edge") as threads:
            work = [threads.submit(capture, self._source, self._detector.prepare, self._frames)]
            work += [threads.submit(inference.work) for _ in range(self._detector.workers)]
            try:
                self._write_all()
            finally:
                self._release_threads()
        for done in work:
            done.result()
        return self._clock.summary(dropped=self._frames.dropped, stopped=self._stop.requested)

    def _write_all(self) -> None:
        known = [count for count in (self._max_frames, self._source.info.frames) if count is not None]
        total = min(known, default=None)
        for done, result in enumerate(self._in_order(), start=1):
            self._write(result)
            self._progress(done, total)
            if done == self._max_frames:
                return

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
