"""Time that tracking takes of a frame: objects that move apart and over one another, one class, with weak detections.

The worst case is a crowd on one spot, where each detection may continue each track, after false detections elsewhere.

python -m bench.tracking [--rounds 400]
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bench._figures import report
from bench._options import run
from ssd_edge.core.detections import Detections
from ssd_edge.core.timing import time_calls
from ssd_edge.streaming.tracking.tracker import Tracker

Array = npt.NDArray[np.float64]

OBJECTS = (1, 5, 20, 100)
CROWD = 200  # the most that a detector reports by default
FALSE = 10  # detections a frame, before the crowd
INTERVAL_S = 0.04


def updates(objects: int) -> Callable[[], Detections]:
    """Return a call that tracks the next frame of 1080p; the objects turn back at the edges."""
    rng = np.random.default_rng(0)
    place, speed = rng.uniform(0, 1, (objects, 2)) * (1800, 960), rng.normal(0, 100, (objects, 2))
    sides, tracker, frame = rng.uniform(40, 120, (objects, 2)), Tracker(), iter(range(10**9))

    def update() -> Detections:
        number = next(frame)
        speed[(place < 0) | (place > (1800, 960))] *= -1
        place.__iadd__(speed * INTERVAL_S)
        boxes = np.concatenate([place, place + sides], axis=1) + rng.normal(0, 2, (objects, 4))
        scores = np.sort(rng.uniform(0.3, 1, objects))[::-1].astype(np.float32)
        found = Detections(boxes.astype(np.float32), scores, np.zeros(objects, np.int64), ("person",))
        return tracker.update(found, number * INTERVAL_S)

    return update


def crowded_updates() -> Callable[[], Detections]:
    """Return a call that tracks the next frame of a crowd on one spot; as many tracks are lost as a tracker keeps."""
    rng = np.random.default_rng(0)
    tracker, frame = Tracker(timeout=600), iter(range(10**9))

    def next_frame(boxes: Array) -> Detections:
        scores = np.sort(rng.uniform(0.6, 1, len(boxes)))[::-1].astype(np.float32)
        found = Detections(boxes.astype(np.float32), scores, np.zeros(len(boxes), np.int64), ("person",))
        return tracker.update(found, next(frame) * INTERVAL_S)

    for _ in range(40):
        corner = rng.uniform(0, 1, (FALSE, 2)) * (1800, 960)
        next_frame(np.concatenate([corner, corner + 60], axis=1))
    return lambda: next_frame(np.array([900, 480, 960, 600]) + rng.normal(0, 10, (CROWD, 4)))


def main(*, rounds: int = 400) -> None:
    calls = {objects: updates(objects) for objects in OBJECTS}
    for objects, timing in time_calls(calls, rounds=rounds, warm_up=20).items():
        spread = timing.spread
        report(f"tracking.{objects}-objects.p50.ms", spread.median)
        print(f"{objects} objects: {spread.median:.2f} ms in the median, 99 % in {spread.p99:.2f} ms")
    spread = time_calls({CROWD: crowded_updates()}, rounds=max(10, rounds // 10), warm_up=3)[CROWD].spread
    report(f"tracking.{CROWD}-on-one-spot.p50.ms", spread.median)
    print(f"{CROWD} objects on one spot: {spread.median:.0f} ms in the median, 99 % in {spread.p99:.0f} ms")


if __name__ == "__main__":
    run(main)
