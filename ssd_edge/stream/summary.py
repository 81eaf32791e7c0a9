"""What a run took: frames, rate, and how long each stage needs."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ssd_edge.stream.timing import LatencyHistogram, StageTimes

STAGES = ("capture", "preprocess", "infer", "output", "end_to_end")


@dataclass(frozen=True)
class RunSummary:
    """The figures of one run.

    Attributes:
        frames: results written.
        dropped: frames of a live source that were replaced by newer ones before inference.
        seconds: from the start of capture to the last result written.
        stages: times of each of :data:`STAGES`; ``end_to_end`` is from a frame's capture to its result written.
        stopped: someone ended the run before the source did.
    """

    frames: int
    dropped: int
    seconds: float
    stages: tuple[StageTimes, ...]
    stopped: bool

    @property
    def fps(self) -> float:
        """Results a second."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


class RunClock:
    """Collects the times of one run, in constant memory."""

    def __init__(self) -> None:
        self._stages = {stage: LatencyHistogram() for stage in STAGES}
        self._frames = 0
        self._started = self._last = time.monotonic()

    def start(self) -> None:
        """Begin to count seconds."""
        self._started = self._last = time.monotonic()

    def add_frame(self, **seconds: float) -> None:
        """Count a frame that has just been written; one duration for each of :data:`STAGES`."""
        for stage, duration in seconds.items():
            self._stages[stage].add(duration)
        self._frames += 1
        self._last = time.monotonic()

    def summary(self, *, dropped: int, stopped: bool) -> RunSummary:
        """Return the figures so far."""
        stages = tuple(times.times(stage) for stage, times in self._stages.items())
        return RunSummary(self._frames, dropped, self._last - self._started, stages, stopped)
