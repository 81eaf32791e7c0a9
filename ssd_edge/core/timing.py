"""The one timer: interleaved rounds of calls that are compared, and what their times come to."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import TypeVar

import numpy as np

from ssd_edge.core.progress import Progress, silent

K = TypeVar("K", bound=Hashable)
Clock = Callable[[], float]
_PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Spread:
    """Summary statistics of several values, in their own unit."""

    minimum: float
    mean: float
    median: float
    p90: float
    p95: float
    p99: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarize at least one value."""
        median, p90, p95, p99 = (float(value) for value in np.percentile(values, _PERCENTILES))
        return cls(float(min(values)), float(np.mean(values)), median, p90, p95, p99, float(max(values)))


@dataclass(frozen=True)
class Timing:
    """Times of repeated calls.

    Attributes:
        times_ms: milliseconds of each round, in order; at least one.
    """

    times_ms: tuple[float, ...]

    @cached_property
    def spread(self) -> Spread:
        """Minimum, mean, percentiles and maximum, in milliseconds."""
        return Spread.of(self.times_ms)

    @property
    def median_ms(self) -> float:
        """The median, in milliseconds."""
        return self.spread.median

    @property
    def total_s(self) -> float:
        """All rounds together, in seconds."""
        return sum(self.times_ms) / 1000

    def ratio_to(self, other: Timing) -> float:
        """Return how many times as long as ``other`` this took: the median over the rounds that both took part in.

        The two calls of a round ran one after the other: what else the machine did then hit both alike.
        """
        return float(np.median([mine / theirs for mine, theirs in zip(self.times_ms, other.times_ms, strict=True)]))


class Stopwatch:
    """Times a piece of work that happens again and again: ``with watch: work()``."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._started = 0.0
        self._times_ms: list[float] = []

    def __enter__(self) -> Stopwatch:
        """Start."""
        self._started = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; work that raised an exception counts nothing."""
        ended = self._clock()
        if kind is None:
            self._times_ms.append(1000 * (ended - self._started))

    @property
    def timing(self) -> Timing:
        """Times measured so far."""
        return Timing(tuple(self._times_ms))

    @property
    def last_ms(self) -> float:
        """Milliseconds of the latest piece."""
        return self._times_ms[-1]


def time_calls(
    calls: Mapping[K, Callable[[], object]],
    *,
    rounds: int,
    at_least: int = 1,
    budget_s: float = float("inf"),
    warm_up: int = 1,
    untimed: int = 0,
    clock: Clock = time.perf_counter,
    progress: Progress = silent,
) -> dict[K, Timing]:
    """Time calls that are compared: in each round every call has its turn, so that all meet the machine alike.

    Args:
        calls: what is timed, by name.
        rounds: how often each is timed at most.
        at_least: rounds that are made whatever they take.
        budget_s: no round begins after so many seconds of timed calls, all together.
        warm_up: calls of each that are not timed, before the first round.
        untimed: calls before each timed one, for work that the call before it slows down (its threads still spin).
        clock: seconds; ``time.thread_time`` for what one thread computes whatever else runs.
        progress: called after each round.
    """
    for _ in range(warm_up):
        for call in calls.values():
            call()
    watches = {name: Stopwatch(clock) for name in calls}
    spent_s = 0.0
    for done in range(max(rounds, at_least)):
        if done >= at_least and spent_s >= budget_s:
            break
        for name, call in calls.items():
            for _ in range(untimed):
                call()
            with watches[name]:
                call()
            spent_s += watches[name].last_ms / 1000
        progress(done + 1, rounds)
    return {name: watch.timing for name, watch in watches.items()}
