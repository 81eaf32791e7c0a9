"""How the work is laid out, chosen by measurement when a run of several streams begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import Detector
from ssd_edge.core.log import log

_LONGEST_S = 1.5  # of measuring one layout or batch size
_LEAST_RUNS = 2
_MOST_RUNS = 12
_WORTH = 1.05  # a larger batch, which takes longer for each frame, must give so many times the frames


@dataclass(frozen=True)
class Measured:
    """What a layout gives.

    Attributes:
        batch: frames that are inferred together.
        fps: frames a second.
    """

    batch: int
    fps: float


@dataclass(frozen=True, eq=False)
class Layout:
    """How the work is laid out.

    Attributes:
        detector: open.
        threads: that it was opened with.
        batch: frames that are inferred together at most.
    """

    detector: Detector
    threads: Threads
    batch: int


def measure_batches(detector: Detector, most: int) -> Measured:
    """Return the batch size, up to ``most`` and what the engine takes, that gives the most frames a second.

    The smallest that is within 5 % of the best is chosen, for the sake of latency.
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

    Tried are all cores on one batch, and a core for each of several frames; the winner is open, the other closed.

    Args:
        opener: opens the detector with a layout of threads.
        streams: that will share it.
    """
    found: list[tuple[Measured, Threads, Detector]] = []
    layouts = dict.fromkeys((Threads.for_latency(), Threads.for_throughput()))
    for threads in layouts if Threads.for_latency().per_worker > 1 else [Threads.for_latency()]:
        detector = opener(threads)
        found.append((measure_batches(detector, streams), threads, detector))
        if detector.workers != threads.workers:  # a GPU, which has a layout of its own
            break
    best = max(found, key=lambda entry: entry[0].fps)
    for measured, threads, detector in found:
        log.debug(
            f"{threads.workers} x {threads.per_worker} threads, batches of {measured.batch}: {measured.fps:.1f} FPS"
        )
        if detector is not best[2]:
            detector.close()
    measured, threads, detector = best
    log.info(
        f"layout: {detector.workers} at a time, batches of up to {measured.batch}, {measured.fps:.1f} FPS measured"
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
