"""Frames that come by themselves: cameras and streams, watched while they run and opened again when they stop."""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator

from ssd_edge.core.errors import DeviceError, SsdEdgeError
from ssd_edge.core.frame import Frame
from ssd_edge.core.sparing_log import SparingLog
from ssd_edge.streaming.sources.base import Source, SourceInfo
from ssd_edge.streaming.sources.capture_clock import CaptureClock, RepeatDetector
from ssd_edge.streaming.sources.reader import Reader, ReadingThread, Taken
from ssd_edge.streaming.sources.retry import Retry
from ssd_edge.streaming.states import StreamError, StreamReason, StreamState

FIRST_FRAME_S = 10.0
"""Seconds that connecting, and then the first frame, may take."""

_RETRY = Retry()
_STEADY_S = 10.0  # a source that ran so long is opened again after the first wait
_MOST_HUNG = 8  # threads of attempts that a driver or library has not let go: each holds memory and a connection


class LiveSource(Source):
    """A camera or stream; its states are those of :mod:`ssd_edge.streaming.states`.

    The caller iterates on one thread; the device is opened and read on another, which may hang. The newest frame wins.

    Args:
        shown: what to call it.
        opener: opens it; raises StreamError where that fails.
        retry: what to do when it cannot be opened, stops, or stalls.
        stall_s: no frame for so long, or for two frame intervals where that is longer, is a stall; after as long again
            the source is opened anew.
        max_age_s: where every frame is older for as long as two stalls, the connection lags and is opened anew.
        first_frame_s: seconds that opening and the first frame may take.
        absent: the error where it is not there at its first opening, and must be.

    Raises:
        DeviceError: while iterating, where it is absent, or has stopped for good.
    """

    counts_frames = True

    def __init__(
        self,
        shown: str,
        opener: Callable[[], Reader],
        *,
        retry: Retry = _RETRY,
        stall_s: float = 2.0,
        max_age_s: float = math.inf,
        first_frame_s: float = FIRST_FRAME_S,
        absent: DeviceError | None = None,
    ) -> None:
        super().__init__(SourceInfo(shown, live=True))
        self._opener, self._retry = opener, retry
        self._stall_s, self._first_frame_s, self._absent = stall_s, first_frame_s, absent
        self._max_age_s, self._late_since = max_age_s, math.inf
        self._clock, self._repeats = CaptureClock(), RepeatDetector()
        self._thread: ReadingThread | None = None
        self._hung: list[ReadingThread] = []
        self._log = SparingLog()
        self._swap = threading.Lock()
        self._index, self._failures, self._began, self._frozen = 0, 0, 0.0, False
        self._segment = -1

    @property
    def announced_frames(self) -> int | None:
        """Number of frames of the open source; None for a source without end."""
        return self._thread.frames if self._thread is not None else None

    def open(self, timeout_s: float) -> bool:
        """Begin to open the source, and wait so long for it; ``info`` knows its rate where that returns True.

        Raises:
            DeviceError: it is absent, and must be there.
        """
        thread = self._thread = self._thread or ReadingThread(self._opener, self.info.name)
        due = time.monotonic() + timeout_s
        while not thread.is_over and thread.opened_at is None and time.monotonic() < due:
            thread.wait(0.05)
        if thread.opened_at is None and thread.fault is not None and not self._retry.wait_for_first:
            raise self._final(thread.fault)
        self._learn(thread)
        return thread.opened_at is not None

    def __iter__(self) -> Iterator[Frame]:
        while not self._interrupted.is_set():
            try:
                thread = self._current()
            except StreamError as fault:
                self._await_next_try(fault)
                continue
            try:
                yield from self._frames(thread)
            except StreamError as fault:
                self._await_next_try(fault)
            finally:
                self._leave(thread)

    def interrupt(self) -> None:
        """Make the iteration end at once; a read that hangs is left behind."""
        super().interrupt()
        with self._swap:
            if self._thread is not None:
                self._thread.wake()

    def close(self) -> None:
        """Release the device; where it hangs, as soon as it hangs no more."""
        super().close()
        if self._thread is not None:
            self._leave(self._thread)

    def _current(self) -> ReadingThread:
        """Return the thread that reads.

        Raises:
            StreamError: too many before it hang for another one to be begun.
        """
        with self._swap:
            self._hung = [thread for thread in self._hung if thread.is_alive]
            if self._thread is None and len(self._hung) >= _MOST_HUNG:
                raise StreamError(StreamReason.TIMEOUT, f"{_MOST_HUNG} earlier attempts hang in the driver or library")
            self._thread = self._thread or ReadingThread(self._opener, self.info.name)
            return self._thread

    def _leave(self, thread: ReadingThread) -> None:
        thread.end()
        with self._swap:
            self._thread = None
            self._hung += [thread] if thread.is_alive else []
        self._index += thread.read

    def _frames(self, thread: ReadingThread) -> Iterator[Frame]:
        """Yield frames of one opening until it fails or the source is interrupted."""
        first, numbered = self._index, 0
        began = time.monotonic()
        self._segment += 1
        self._clock.restart()
        self._late_since = math.inf
        while not self._interrupted.is_set():
            taken = self._take(thread)
            if taken is None:
                return
            image, arrived, number = taken
            captured_at = self._clock.captured_at(image.stamp_s, arrived)
            self.monitor.count(read=number - numbered, last_frame_at=captured_at)
            numbered = number
            if self._repeats.is_stale_stamp(image.stamp_s):
                self.monitor.count(repeated=1)
                continue
            self._check_age(captured_at, arrived)
            self._note_frozen(self._repeats.is_frozen(image.image, arrived))
            self._running(thread, steady=arrived - began > _STEADY_S)
            if first + number == 1 or self._began == 0.0:
                self._began = captured_at
            yield Frame(
                image.image,
                first + number - 1,
                captured_at,
                self.info.name,
                max(0.0, captured_at - self._began),
                image.original_size,
                self._segment,
            )

    def _take(self, thread: ReadingThread) -> Taken | None:
        """Return the next frame; None when interrupted. A silence is a stall, and after as long again a fault."""
        stall_s = self._stall_after() if thread.read else self._first_frame_s
        taken = thread.take(stall_s)
        if taken is not None or self._interrupted.is_set():
            return taken
        if not thread.read:
            raise StreamError(StreamReason.TIMEOUT, f"no frame within {self._first_frame_s:g} s")
        self.monitor.enter(StreamState.STALLED, StreamReason.TIMEOUT, f"no frame for {stall_s:.1f} s")
        self.monitor.count(stalls=1)
        self._say("stalled", f"{self.info.name} has stalled: no frame for {stall_s:.1f} s")
        taken = thread.take(stall_s)
        if taken is not None or self._interrupted.is_set():
            return taken
        raise StreamError(StreamReason.TIMEOUT, f"no frame for {2 * stall_s:.1f} s")

    def _check_age(self, captured_at: float, arrived: float) -> None:
        """Raise StreamError where every frame has been too old for so long that the connection will not catch up."""
        age = arrived - captured_at
        self._late_since = min(self._late_since, arrived) if age > self._max_age_s else math.inf
        if arrived - self._late_since > 2 * self._stall_after():
            raise StreamError(StreamReason.TIMEOUT, f"frames are {age:.1f} s late")

    def _stall_after(self) -> float:
        return max(self._stall_s, 2 / self.info.fps if self.info.fps else 0.0)

    def _running(self, thread: ReadingThread, *, steady: bool) -> None:
        state = self.monitor.state
        if state is not StreamState.RUNNING:
            self._learn(thread)
            if state is not StreamState.STARTING:
                self._say("back", f"{self.info.name} is back", logging.INFO)
            self.monitor.enter(StreamState.RUNNING)
        if steady:
            self._failures = 0

    def _note_frozen(self, frozen: bool) -> None:
        if frozen:
            self.monitor.count(repeated=1)
            if not self._frozen:
                self._say("frozen", f"{self.info.name} has given the same image for 10 s, though it had noise before")
        self._frozen = frozen

    def _learn(self, thread: ReadingThread) -> None:
        if thread.fps is not None and thread.fps != self.info.fps:
            self.info = dataclasses.replace(self.info, fps=thread.fps)

    def _await_next_try(self, fault: StreamError) -> None:
        """Wait until it is time for the next try.

        Raises:
            DeviceError: there is none.
        """
        attempt, self._failures = self._failures, self._failures + 1
        is_first = self._index == 0 and self.monitor.status.read == 0
        if not self._retry.allows(attempt) or (is_first and not self._retry.wait_for_first):
            raise self._final(fault)
        wait = self._retry.wait_s(attempt, fault.reason)
        self.monitor.enter(StreamState.RETRYING, fault.reason, fault.detail)
        self.monitor.count(retries=1)
        tries = "" if self._retry.most is None else f", try {attempt + 1} of {self._retry.most}"
        text = f"{self.info.name}: {fault.reason.value} ({fault.detail}); next try in {wait:.1f} s{tries}"
        self._say(fault.reason.value, text)
        self._interrupted.wait(wait)

    def _say(self, kind: str, text: str, level: int = logging.WARNING) -> None:
        self._log.write(level, kind, text)

    def _final(self, fault: StreamError) -> SsdEdgeError:
        self.monitor.enter(StreamState.STOPPED, fault.reason, fault.detail)
        read = self.monitor.status.read
        if not read and self._absent is not None:
            return self._absent
        return DeviceError(
            f"{self.info.name} ended after {read} frames" if read else f"{self.info.name} cannot be opened",
            got=f"{fault.reason.value}: {fault.detail}",
            wanted=self._wanted_tries(),
            do="Check that it is on and connected; to try longer: --max-retries N",
        )

    def _wanted_tries(self) -> str:
        most = self._retry.most
        return f"a frame within {most} {'try' if most == 1 else 'tries'}" if most else ""
