"""Timing of a run: frames, rate, and the duration of each stage."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

STAGES = ("capture", "preprocess", "infer", "output", "end_to_end")
"""Of a frame's way; the last is all of it, with the waits in between."""

_SHORTEST_S = 1e-6
_GROWTH = 1.01  # each bin is 1 % wider than the one before: a percentile is exact to 0.5 %
_BINS_PER_E = 1 / math.log(_GROWTH)
_BINS = math.ceil(math.log(1e4 / _SHORTEST_S, _GROWTH))


@dataclass(frozen=True)
class StageTimes:
    """Times of one of :data:`STAGES` over all frames.

    Attributes:
        stage: one of :data:`STAGES`.
        count: frames.
        mean_ms, p50_ms, p95_ms, p99_ms, max_ms: mean, percentiles and maximum, in milliseconds.
    """

    stage: str
    count: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class LatencyHistogram:
    """Counts of durations from 1 µs to 10,000 s in bins that grow by 1 %."""

    def __init__(self) -> None:
        self._counts = array("q", bytes(8 * _BINS))
        self._total_s = 0.0
        self._max_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        place = math.log(max(seconds, _SHORTEST_S) / _SHORTEST_S) * _BINS_PER_E
        self._counts[min(int(place), _BINS - 1)] += 1
        self._total_s += seconds
        self._max_s = max(self._max_s, seconds)

    def merge(self, other: LatencyHistogram) -> None:
        """Count what another one has counted."""
        self._counts = array("q", (mine + theirs for mine, theirs in zip(self._counts, other._counts, strict=True)))
        self._total_s += other._total_s
        self._max_s = max(self._max_s, other._max_s)

    @property
    def count(self) -> int:
        """Durations that were counted."""
        return sum(self._counts)

    @property
    def total_s(self) -> float:
        """Sum of the counted durations."""
        return self._total_s

    def counts_up_to(self, bounds_s: Sequence[float]) -> list[int]:
        """Return how many durations are at most each of some bounds; what is 1 % apart may count as equal."""
        sums = np.cumsum(self._counts)
        places = [int(math.log(bound / _SHORTEST_S) * _BINS_PER_E) for bound in bounds_s]
        return [int(sums[min(place, _BINS - 1)]) for place in places]

    def percentile_s(self, percent: float) -> float:
        """Return the duration that ``percent`` of the counted ones do not exceed (nearest rank); 0 where none is."""
        count = self.count
        if count == 0:
            return 0.0
        rank = max(1, math.ceil(percent / 100 * count))
        place = int(np.searchsorted(np.cumsum(self._counts), rank))
        return min(float(_SHORTEST_S * _GROWTH ** (place + 0.5)), self._max_s)

    def times(self, stage: str) -> StageTimes:
        """Return the percentiles under the stage's name."""
        count = self.count
        p50, p95, p99 = (1000 * self.percentile_s(percent) for percent in (50, 95, 99))
        return StageTimes(stage, count, 1000 * self._total_s / max(count, 1), p50, p95, p99, 1000 * self._max_s)


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

    @classmethod
    def merged(cls, began: RunClock, clocks: Sequence[RunClock]) -> RunClock:
        """Return the figures of several streams together, from when ``began`` was started."""
        found = cls()
        found._started = began._started
        found._last = max([began._started, *(clock._last for clock in clocks if clock._frames)])
        for clock in clocks:
            found._frames += clock._frames
            for stage, times in clock._stages.items():
                found._stages[stage].merge(times)
        return found

    @property
    def last_at(self) -> float | None:
        """When the last frame was written, on the clock of ``time.monotonic``; None before the first."""
        return self._last if self._frames else None

    @property
    def stages(self) -> Mapping[str, LatencyHistogram]:
        """The times of each of :data:`STAGES`; they go on to change."""
        return self._stages

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
