"""Time that tracking takes of a frame: objects that move apart and over one another, one class, with weak detections.

python -m bench.tracking [--rounds 400]
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench._figures import report
from bench._options import run
from ssd_edge.core.detections import Detections
from ssd_edge.core.timing import time_calls
from ssd_edge.streaming.tracking.tracker import Tracker

OBJECTS = (1, 5, 20, 100)
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


def main(*, rounds: int = 400) -> None:
    calls = {objects: updates(objects) for objects in OBJECTS}
    for objects, timing in time_calls(calls, rounds=rounds, warm_up=20).items():
        spread = timing.spread
        report(f"tracking.{objects}-objects.p50.ms", spread.median)
        print(f"{objects} objects: {spread.median:.2f} ms in the median, 99 % in {spread.p99:.2f} ms")


if __name__ == "__main__":
    run(main)
