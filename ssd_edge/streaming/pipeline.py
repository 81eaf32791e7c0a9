"""Many streams, one engine: capture, inference and output side by side, results of each stream in order.

Threads: one for each stream captures, selects and preprocesses its frames; ``detector.workers`` threads infer what the
:class:`~ssd_edge.streaming.batcher.Batcher` gives them; one for each stream writes its results, or the caller's, where
there is one stream only. OpenCV and the runtimes give up Python's lock while they work. A stream that fails, stalls or
writes slowly has its own threads and its own lane, and so holds nobody up. All threads are daemons: one that hangs in a
library is left behind, and keeps no run from ending.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence

from ssd_edge.backends.detector import Detector
from ssd_edge.core.errors import InferenceHangError
from ssd_edge.core.interruptible import leave_behind
from ssd_edge.core.opencv_pool import no_opencv_pool
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.batcher import Batcher
from ssd_edge.streaming.engine_slot import EngineSlot
from ssd_edge.streaming.running_stream import POLL_S, Result, ResultQueue, RunningStream, Stream
from ssd_edge.streaming.sources.base import Source
from ssd_edge.streaming.states import StreamStatus
from ssd_edge.streaming.timing import RunClock, RunSummary

_ENDING_S = 1.0  # for frames in flight to be written, once a stop is asked for
_JOIN_S = 0.5  # then for threads to end, all of them together


class Pipeline:
    """One run of streams through a detector: call :meth:`run` or :meth:`results`, once.

    Args:
        streams: to begin with; :meth:`add` and :meth:`remove` change them where ``dynamic``.
        detector: closed by its owner; or a slot, whose engine may be replaced.
        max_batch: frames that are inferred together at most; the detector's own limit holds too.
        batch_wait_s: how long a frame may wait for those of other streams to be inferred with it.
        hang_s: an inference that takes longer has hung.
        stop: end when it is requested.
        progress: receives the written frames.
        tick: called on the caller's thread, some twenty times a second while it waits.
        dynamic: streams may be added and removed while it runs.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        detector: Detector | EngineSlot,
        *,
        max_batch: int = 1,
        batch_wait_s: float = 0.0,
        hang_s: float = float("inf"),
        stop: StopRequest | None = None,
        progress: Progress = silent,
        tick: Callable[[], None] = lambda: None,
        dynamic: bool = False,
    ) -> None:
        self._slot = detector if isinstance(detector, EngineSlot) else EngineSlot(detector)
        self._workers = self._slot.detector.workers
        self._most = min(max_batch, self._slot.detector.most_in_batch or max_batch)
        self._batcher = Batcher(self._most, batch_wait_s)
        self._stop, self._progress, self._tick = stop or StopRequest(), progress, tick
        self._hang_s, self._dynamic = hang_s, dynamic
        self._streams = list(streams)
        self._running: list[RunningStream] = []  # at work
        self._all: list[RunningStream] = []
        self._threads: list[threading.Thread] = []
        self._inferring = 0
        self._turn = threading.Lock()
        self._error: Exception | None = None
        self._asked_at: float | None = None
        self._clock = RunClock()
        self._ended = False
        self._keeps_images = True
        self._looked_at = time.monotonic()

    @property
    def statuses(self) -> dict[str, StreamStatus]:
        """The status of each stream, by its name."""
        return {running.name: running.monitor.status for running in self._running}

    def error_of(self, source: Source | None) -> Exception | None:
        """Return what ended the stream of a source for good."""
        return next((running.error for running in self._all if running.stream.source is source), None)

    @property
    def idle_s(self) -> float:
        """Seconds since the run last looked after its threads: long where an output of the only stream hangs."""
        return time.monotonic() - self._looked_at

    def clock_of(self, source: Source | None) -> RunClock | None:
        """Return the times of the frames of a source so far; None where it has not begun."""
        return next((running.clock for running in self._all if running.stream.source is source), None)

    def summary_of(self, source: Source | None) -> RunSummary:
        """Return the figures of the stream of a source."""
        return self._summary([running for running in self._all if running.stream.source is source])

    def run(self) -> RunSummary:
        """Run until all sources end or someone stops it; return what it took.

        With one stream the caller's thread writes, and an error of the source or of a sink is raised. With several each
        has a thread that writes, and an error ends its own stream only: see :meth:`error_of`. OpenCV uses one thread a
        call meanwhile, in the whole process.

        Raises:
            SsdEdgeError: from the detector, or from the only stream; the results before it are written.
            InferenceHangError: an inference does not come back; the results before it are written.
        """
        self._keeps_images = False
        with no_opencv_pool():
            if len(self._streams) == 1 and not self._dynamic:
                self._run_one()
            else:
                self._run_many()
        return self._summary(self._all)

    def results(self) -> Generator[Result, None, None]:
        """Yield results of all streams, each stream's in order, until all end; closing the generator ends the threads.

        Raises:
            SsdEdgeError: from the detector, or from the only stream, after the results before it.
            InferenceHangError: an inference does not come back.
        """
        failed: set[RunningStream] = set()
        for running, result in self._shared():
            if running not in failed:
                try:
                    tracked = running.tracked(result)
                except Exception as error:  # noqa: BLE001 - it ends this stream; raised at the end if there is no other
                    failed.add(running)
                    running.fail(error)
                    running.end()
                else:
                    yield tracked
            running.done()

    def add(self, stream: Stream) -> None:
        """Begin another stream while the others go on."""
        self._begin(self._new(stream, ResultQueue()), writes=True)

    def remove(self, name: str, *, wait_s: float = 2.0) -> None:
        """End a stream while the others go on; its results are written when this returns, unless that takes longer."""
        for running in [running for running in self._running if running.name == name]:
            running.end()
            running.is_written.wait(wait_s)
            # A new list, since other threads iterate over the old one.
            self._running = [other for other in self._running if other is not running]

    def _run_one(self) -> None:
        (stream,) = self._streams
        ends = (stream.max_frames, stream.source.info.frames)
        total = min((count for count in ends if count is not None), default=None)
        for done, (running, result) in enumerate(self._shared(), start=1):
            try:
                running.write(result)
            except Exception as error:
                running.fail(error)
                raise
            running.done()
            self._progress(done, total)

    def _run_many(self) -> None:
        self._start(None)
        try:
            while not self._is_finished():
                time.sleep(POLL_S)
                self._look()
                self._progress(sum(running.monitor.status.results for running in self._running), None)
                if self._is_late():
                    break
        except Exception as error:
            self._blame(error)
            raise
        finally:
            self._end()
        if self._error is not None:
            raise self._error

    def _shared(self) -> Generator[tuple[RunningStream, Result], None, None]:
        """Yield the results of all streams on the caller's thread."""
        queue = ResultQueue()
        self._start(queue)
        try:
            while True:
                last = all(running.is_delivered for running in self._running) or self._is_dead() or self._is_late()
                found = queue.get(0.0 if last else POLL_S)
                if found is not None:
                    yield found
                elif last:
                    break
                self._look()
        except Exception as error:
            self._blame(error)
            raise
        finally:
            self._end()
        self._raise()

    def _start(self, queue: ResultQueue | None) -> None:
        """Start all threads; results go to the queue, or each stream's to a thread that writes them."""
        self._slot.detector.warm_up(self._most)
        self._clock.start()
        self._looked_at = time.monotonic()
        self._inferring = self._workers
        for _ in range(self._workers):
            self._spawn(self._infer, "infer")
        for stream in self._streams:
            own = ResultQueue() if queue is None else queue
            self._begin(self._new(stream, own), writes=queue is None)
        if not self._dynamic:
            self._batcher.close()

    def _new(self, stream: Stream, results: ResultQueue) -> RunningStream:
        return RunningStream(stream, self._batcher, self._workers, results, keeps_images=self._keeps_images)

    def _begin(self, running: RunningStream, *, writes: bool) -> None:
        running.clock.start()
        self._running = [*self._running, running]
        self._all.append(running)
        self._batcher.add(running.lane)
        self._spawn(lambda: running.capture(self._slot.preprocess), "capture")
        if writes:
            self._spawn(lambda: running.write_all(lambda: self._ended or self._is_dead() or self._is_late()), "write")

    def _spawn(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, name=f"ssd-edge {name}", daemon=True)
        self._threads = [*(old for old in self._threads if old.is_alive()), thread]
        thread.start()

    def _infer(self) -> None:
        """Infer batches until none comes; an error ends the run."""
        try:
            while batch := self._batcher.take():
                began = time.monotonic()
                found = self._slot.detect([taken.captured for taken in batch])
                took = time.monotonic() - began
                for taken, detections in zip(batch, found, strict=True):
                    running = next((running for running in self._running if running.lane is taken.lane), None)
                    if running is not None:
                        running.deliver(taken.number, taken.captured, detections, took)
        except Exception as error:  # noqa: BLE001 - raised where the run ends
            self._error = self._error or error
            self._blame(error)
            self._batcher.abandon()
        finally:
            with self._turn:
                self._inferring -= 1

    def _look(self) -> None:
        """Look at requests and at the inference.

        Raises:
            InferenceHangError: it does not come back.
        """
        self._looked_at = time.monotonic()
        self._tick()
        if self._stop.requested and self._asked_at is None:
            self._asked_at = time.monotonic()
            for running in list(self._running):
                running.end()
            self._batcher.close()
        busy = self._slot.busy_s()
        if busy > self._hang_s:
            raise InferenceHangError(
                f"the inference of {self._slot.detector.path} has hung",
                got=f"no answer for {busy:.0f} s",
                do="The files written so far are complete. To restart automatically: ssd-edge run --supervise, or "
                "systemd.",
            )

    def _is_finished(self) -> bool:
        """Whether all is written; where streams may be added, none is no end."""
        may_end = self._running or not self._dynamic or self._asked_at is not None
        return bool(may_end) and all(running.is_written.is_set() for running in self._running)

    def _is_dead(self) -> bool:
        """Whether no thread infers any more."""
        return self._inferring == 0

    def _is_late(self) -> bool:
        """Whether a stop was asked for so long ago that nobody waits for frames in flight."""
        return self._asked_at is not None and time.monotonic() - self._asked_at > _ENDING_S

    def _blame(self, error: Exception) -> None:
        """Have the streams that have not ended yet stop by an error of the run."""
        for running in self._running:
            running.run_error = running.run_error or error

    def _end(self) -> None:
        """End all threads, once what was inferred is written; one that hangs is left behind."""
        self._ended = True
        for running in list(self._running):
            running.end()
        self._batcher.abandon()
        due = time.monotonic() + (_JOIN_S if self._asked_at is not None else _ENDING_S)
        for thread in self._threads:
            thread.join(max(0.01, due - time.monotonic()))
            if thread.is_alive():
                leave_behind(thread)

    def _raise(self) -> None:
        """Raise the error of the detector, or of the only stream."""
        error = self._error or (self._running[0].error if len(self._running) == 1 else None)
        if error is not None:
            raise error

    def _summary(self, several: Sequence[RunningStream]) -> RunSummary:
        clock = RunClock.merged(self._clock, [running.clock for running in several])
        dropped = sum(running.monitor.status.dropped for running in several)
        return clock.summary(dropped=dropped, stopped=self._stop.requested)
