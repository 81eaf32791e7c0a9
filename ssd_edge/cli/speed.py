"""How long models take for a picture here, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

_ROUNDS, _SECONDS = 25, 6.0


def median_times(models: Sequence[Path], batch: int = 1) -> list[float]:
    """Return the median milliseconds of each model from picture to boxes, of interleaved rounds (at most six seconds).

    The picture is noise of 640 x 480: what a network computes does not depend on what it sees. Where an engine takes no
    fewer than ``batch`` pictures, as many go in together, and the time is that of one of them.
    """
    import numpy as np

    from ssd_edge.backends.detector import open_detector

    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    with ExitStack() as stack:
        detectors = [stack.enter_context(open_detector(path)) for path in models]
        times: list[list[float]] = [[] for _ in detectors]
        for detector in detectors:
            detector.detect_batch([picture] * batch)
        end = time.monotonic() + _SECONDS
        while len(times[0]) < _ROUNDS and (time.monotonic() < end or not times[0]):
            for kept, detector in zip(times, detectors, strict=True):
                start = time.perf_counter()
                detector.detect_batch([picture] * batch)
                kept.append((time.perf_counter() - start) * 1000 / batch)
    return [float(np.median(kept)) for kept in times]
