"""Layout of the work over cores and batches, measured when a run of several streams begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import Detector
from ssd_edge.core.choices import Goal
from ssd_edge.core.log import log

_MOST_WORKERS = 16  # inferences in parallel: each has two frames on their way, which may be 25 MB each
_LONGEST_S = 1.5  # of measuring one layout or batch size
_LEAST_RUNS = 2
_MOST_RUNS = 12
_WORTH = 1.1  # a larger batch takes memory and time before its first frame is done: it must be worth it


@dataclass(frozen=True)
class Measured:
    """Measured speed of a layout.

    Attributes:
        batch: frames that are inferred together.
        fps: frames a second.
    """

    batch: int
    fps: float


@dataclass(frozen=True, eq=False)
class Layout:
    """Layout of the work.

    Attributes:
        detector: open.
        threads: that it was opened with.
        batch: frames that are inferred together at most.
    """

    detector: Detector
    threads: Threads
    batch: int


def threads_for(goal: Goal) -> Threads:
    """Return all cores on one frame, or a core for each of several frames; beyond 16 frames, several cores for each."""
    if goal is Goal.LATENCY:
        return Threads.for_latency()
    every = Threads.for_throughput()
    each = -(-every.workers // _MOST_WORKERS)
    return Threads(every.workers // each, each)


def measure_batches(detector: Detector, most: int) -> Measured:
    """Return the batch size, up to ``most`` and what the engine takes, that gives the most frames a second.

    A larger one is chosen where it gives 10 % more, for the sake of latency and memory.
    """
    sizes, size = [], 1
    most = min(most, detector.most_in_batch or most)
    while size < most:
        sizes.append(size)
        size *= 2
    best = Measured(1, 0.0)
    for size in [*sizes, max(1, most)]:
        found = Measured(size, _fps(detector, size))
        best = found if found.fps > best.fps * _WORTH else best
    return best


def open_fastest(opener: Callable[[Threads], Detector], streams: int) -> Layout:
    """Return the open detector, and the layout, that give the most frames a second for so many streams.

    Tried are all cores on one batch, and a core for each of several frames. What was tried is closed, and the winner
    opened anew: it keeps no memory of batches that it will not see.

    Args:
        opener: opens the detector with a layout of threads.
        streams: that will share it.
    """
    tried: list[tuple[Measured, Threads]] = []
    for threads in dict.fromkeys(map(threads_for, Goal)):
        with opener(threads) as detector:
            measured = measure_batches(detector, streams)
            is_its_own = detector.workers != threads.workers  # a GPU has a layout of its own
        tried.append((measured, threads))
        log.debug(f"{threads.workers} x {threads.per_worker} threads, batch {measured.batch}: {measured.fps:.1f} FPS")
        if is_its_own:
            break
    measured, threads = max(tried, key=lambda entry: entry[0].fps)
    detector = opener(threads)
    log.info(
        f"layout: {detector.workers} inferences in parallel, batches of up to {measured.batch}, "
        f"{measured.fps:.1f} FPS measured"
    )
    return Layout(detector, threads, measured.batch)


def _fps(detector: Detector, batch: int) -> float:
    """Return the frames a second of all workers together, on black images."""
    detector.warm_up(batch)
    due = time.monotonic() + _LONGEST_S / 2

    def work(_: int) -> int:
        runs = 0
        while runs < _LEAST_RUNS or (runs < _MOST_RUNS and time.monotonic() < due):
            detector.warm_up(batch)
            runs += 1
        return runs

    began = time.monotonic()
    with ThreadPoolExecutor(detector.workers) as threads:
        runs = sum(threads.map(work, range(detector.workers)))
    return batch * runs / max(time.monotonic() - began, 1e-9)
