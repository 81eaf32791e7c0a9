"""One stream at work: its source is captured, its results are put in order and written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.log import log
from ssd_edge.streaming.batcher import Batcher, Captured, Lane
from ssd_edge.streaming.privacy import PrivacyMask
from ssd_edge.streaming.selection import DetectionFilter, FrameGate, FrameSelection
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.streaming.sources.base import Source
from ssd_edge.streaming.states import StreamReason, StreamState
from ssd_edge.streaming.timing import RunClock
from ssd_edge.streaming.tracking.stream_tracker import StreamTracker

POLL_S = 0.05
"""Seconds between checks for a stop request while no result arrives."""

_FILE_FRAMES_AHEAD = 2
_BURST = 8  # frames of a live stream that a network hands out together


@dataclass(frozen=True, eq=False)
class Stream:
    """One source with what becomes of its frames.

    Attributes:
        source: where frames come from; interrupted, but not closed, by the pipeline.
        sinks: where results are written; closed by their owner.
        keep: which detections the stream keeps.
        select: which frames are inferred.
        max_frames: the stream ends after so many results.
        max_age_s: a live frame that is older when its turn comes is dropped.
        name: in messages and summaries; by default that of the source.
        mask: what of each frame is black, before anything else sees it.
        tracker: gives the objects their ids, and decides in place of ``keep`` which detections are reported; None where
            objects are not tracked.
    """

    source: Source
    sinks: Sequence[Sink] = ()
    keep: DetectionFilter = field(default_factory=DetectionFilter)
    select: FrameSelection = field(default_factory=FrameSelection)
    max_frames: int | None = None
    max_age_s: float = float("inf")
    name: str = ""
    mask: PrivacyMask | None = None
    tracker: StreamTracker | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """Detections in a frame of a stream; ``number`` counts the stream's results, without gaps."""

    stream: Stream
    number: int
    captured: Captured
    detections: Detections
    infer_s: float


class ResultQueue:
    """Results on their way to the thread that writes them."""

    def __init__(self) -> None:
        self._items: SimpleQueue[tuple[RunningStream, Result]] = SimpleQueue()

    def put(self, running: RunningStream, result: Result) -> None:
        """Add a result."""
        self._items.put((running, result))

    def get(self, timeout_s: float) -> tuple[RunningStream, Result] | None:
        """Return the next result; None where none came in time."""
        try:
            return self._items.get(timeout=timeout_s) if timeout_s > 0 else self._items.get_nowait()
        except Empty:
            return None


class RunningStream:
    """A stream at work.

    Args:
        stream: what is asked for.
        batcher: where its frames go.
        workers: threads that infer.
        results: where its results go in their order.
        keeps_images: results have the frame's image; otherwise only where a sink needs it, and else the network's
            small one: eight streams of 1080p have some forty frames on their way, of six megabytes each.

    Attributes:
        error: what ended it for good; None where nothing did.
        run_error: what ends the run, and this stream with it; None where nothing does.
    """

    def __init__(
        self, stream: Stream, batcher: Batcher, workers: int, results: ResultQueue, *, keeps_images: bool = True
    ) -> None:
        self.stream, self.results, self._batcher = stream, results, batcher
        self.monitor, live = stream.source.monitor, stream.source.info.live
        self.lane = Lane(
            live=live,
            capacity=_BURST if live else max(_FILE_FRAMES_AHEAD, batcher.most),
            most_in_flight=2 * workers if live else 2 * max(workers, batcher.most),
            max_age_s=stream.max_age_s,
            most_frames=stream.max_frames,
            dropped=lambda count: self.monitor.count(dropped=count),
        )
        self.clock = RunClock()
        self.error: Exception | None = None
        self.run_error: Exception | None = None
        self.is_written = threading.Event()
        self._keeps_images = keeps_images or any(sink.needs_image for sink in stream.sinks)
        self._early: dict[int, Result] = {}
        self._next = 0
        self._order = threading.Lock()

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.stream.name or self.stream.source.info.name

    @property
    def is_delivered(self) -> bool:
        """Whether the result of every frame that was taken lies ready, and no further frame will be taken."""
        return self.lane.is_over and self._next == self.lane.taken

    def capture(self, preprocess: Callable[[UInt8Array], UInt8Array]) -> None:
        """Move frames from the source to the batcher until the one ends or the other wants no more."""
        try:
            self._capture(preprocess)
        except Exception as error:  # noqa: BLE001 - it ends this stream; the pipeline raises or logs it
            self.fail(error)
        else:
            if self.run_error is None:
                self.monitor.enter(StreamState.STOPPED, StreamReason.END)
            else:
                self.monitor.enter(StreamState.STOPPED, StreamReason.ERROR, str(self.run_error))
        finally:
            self._batcher.finish(self.lane)

    def deliver(self, number: int, captured: Captured, detections: Detections, infer_s: float) -> None:
        """Hand a result on in its turn, though several workers finish them in any order."""
        kept = detections if self.stream.tracker is not None else self.stream.keep.kept(detections)
        result = Result(self.stream, number, captured, kept, infer_s)
        with self._order:
            self._early[number] = result
            while (found := self._early.pop(self._next, None)) is not None:
                self.results.put(self, found)
                self._next += 1

    def tracked(self, result: Result) -> Result:
        """Return a result with the ids of its objects where they are tracked.

        Called once with each result, in order, on the thread that consumes them: no inference waits for it.
        """
        tracker = self.stream.tracker
        if tracker is None:
            return result
        return replace(result, detections=tracker.update(result.captured.frame, result.detections))

    def write(self, result: Result) -> None:
        """Track the objects of a result, write it to the stream's sinks, and count it."""
        began = time.monotonic()
        frame, detections = result.captured.frame, self.tracked(result).detections
        for sink in self.stream.sinks:
            sink.write(frame, detections)
        ended = time.monotonic()
        self.monitor.count(results=1)
        self.clock.add_frame(
            capture=result.captured.capture_s,
            preprocess=result.captured.preprocess_s,
            infer=result.infer_s,
            output=ended - began,
            end_to_end=ended - frame.captured_at,
        )

    def done(self) -> None:
        """Say that a result was taken care of, so that another frame may be inferred."""
        self._batcher.done(self.lane)

    def write_all(self, is_over: Callable[[], bool]) -> None:
        """Write results until all are written, or ``is_over`` and none is left; an error ends this stream only."""
        try:
            while True:
                last = self.is_delivered or is_over()  # looked at before the queue: nothing comes in between
                found = self.results.get(0.0 if last else POLL_S)
                if found is not None:
                    self.write(found[1])
                    self.done()
                elif last:
                    return
        except Exception as error:  # noqa: BLE001 - it ends this stream; the pipeline tells of it
            self.fail(error)
            self.end()
        finally:
            if self.error is not None:
                log.error(f"{self.name} stopped: {self.error}")
            self.is_written.set()

    def fail(self, error: Exception) -> None:
        """Note what ended the stream."""
        self.error = self.error or error
        self.monitor.enter(StreamState.STOPPED, StreamReason.ERROR, str(error))

    def end(self) -> None:
        """Have the source end; frames that were not taken yet are thrown away."""
        self.stream.source.interrupt()
        self._batcher.remove(self.lane)

    def _capture(self, preprocess: Callable[[UInt8Array], UInt8Array]) -> None:
        gate, source = FrameGate(self.stream.select), self.stream.source
        began = time.monotonic()
        for captured in source:
            read = time.monotonic()
            frame = captured if self.stream.mask is None else self.stream.mask.blacken(captured)
            if not source.counts_frames:
                self.monitor.enter(StreamState.RUNNING)
                self.monitor.count(read=1, last_frame_at=frame.captured_at)
            if not gate.passes(frame):
                self.monitor.count(skipped=1)
                continue
            pixels = preprocess(frame.image)
            if not self._keeps_images:
                frame = replace(frame, image=pixels, original_size=(frame.width, frame.height))
            if not self._batcher.put(self.lane, Captured(frame, pixels, read - began, time.monotonic() - read)):
                return
            began = time.monotonic()
