"""Frames of all streams on their way to one engine: a lane for each stream, and batches that are taken fairly.

A lane of a live stream holds the newest frame and drops the one before, but keeps a few that came in one burst; a
lane of a file holds a few, and its source waits, so that nothing is lost. A batch takes from the lanes that were
served longest ago. A lane whose results wait to be written is passed over: a slow output slows its own stream only.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ssd_edge.core.frame import Frame, UInt8Array

_BURST_S = 0.03  # frames that come within it were captured apart, and the network has held them back
_EXPECTED_S = 1.0  # a lane that gave a frame within it is waited for


@dataclass(frozen=True, eq=False)
class Captured:
    """A frame that is ready for inference, and what that took."""

    frame: Frame
    pixels: UInt8Array
    capture_s: float
    preprocess_s: float


@dataclass(eq=False)
class Lane:
    """One stream's frames on their way; all but the fields of the beginning belong to the batcher.

    Each lane wakes its own producer only: with one condition for all, each frame would wake every thread of a run.

    Attributes:
        live: the newest frame wins; otherwise the source waits.
        capacity: frames that wait here at most; of a live stream those that came in one burst, at other times one.
        most_in_flight: frames that are inferred or wait to be written at most.
        max_age_s: older frames of a live stream are dropped.
        most_frames: frames that are taken in all; None for all.
        dropped: receives each frame that was dropped.
    """

    live: bool
    capacity: int = 1
    most_in_flight: int = 2
    max_age_s: float = float("inf")
    most_frames: int | None = None
    dropped: Callable[[int], None] = lambda _: None
    items: deque[tuple[Captured, float]] = field(default_factory=deque)
    taken: int = 0
    in_flight: int = 0
    turn: int = 0
    last_put: float = float("-inf")
    finished: bool = False
    room: threading.Condition = field(default_factory=threading.Condition)

    @property
    def is_ready(self) -> bool:
        """Whether a frame may be taken."""
        return bool(self.items) and self.in_flight < self.most_in_flight and not self.is_served

    @property
    def is_served(self) -> bool:
        """Whether as many frames were taken as are wanted."""
        return self.most_frames is not None and self.taken >= self.most_frames

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be taken."""
        return self.is_served or (self.finished and not self.items)


@dataclass(frozen=True, eq=False)
class Taken:
    """A frame of a batch; ``number`` counts those of its lane in the order in which they were taken."""

    lane: Lane
    number: int
    captured: Captured


class Batcher:
    """Lanes, and the batches that are taken from them; any thread may call.

    Args:
        most: frames of a batch.
        wait_s: how long the oldest frame that is ready may wait for others to fill a batch.
    """

    def __init__(self, most: int = 1, wait_s: float = 0.0) -> None:
        self.most, self._wait_s = most, wait_s
        self._lock = threading.Lock()
        self._more = threading.Condition(self._lock)  # for those who infer
        self._lanes: list[Lane] = []
        self._turn = 0
        self._abandoned = self._closed = False

    def add(self, lane: Lane) -> None:
        """Add a lane."""
        with self._lock:
            lane.turn, lane.room = self._turn, threading.Condition(self._lock)
            self._lanes.append(lane)

    def remove(self, lane: Lane) -> None:
        """Take a lane out; what lies in it is thrown away, and its producer is released."""
        with self._lock:
            lane.finished = True
            lane.items.clear()
            lane.most_frames = lane.taken
            self._lanes = [other for other in self._lanes if other is not lane]
            lane.room.notify_all()
            self._more.notify_all()

    def put(self, lane: Lane, captured: Captured) -> bool:
        """Add a frame; False where nobody wants frames of this lane any more, and the source should stop."""
        with self._lock:
            if lane.live:
                self._make_room(lane)
            while not self._refuses(lane) and len(lane.items) >= lane.capacity:
                lane.room.wait()
            if self._refuses(lane):
                return False
            now = time.monotonic()
            lane.items.append((captured, now))
            lane.last_put = now
            self._more.notify()
            return True

    def finish(self, lane: Lane) -> None:
        """Say that no further frame of the lane will come; what lies in it can still be taken."""
        with self._lock:
            lane.finished = True
            self._more.notify_all()

    def done(self, lane: Lane) -> None:
        """Say that the result of a frame was written."""
        with self._lock:
            lane.in_flight -= 1
            if lane.is_ready:
                self._more.notify()

    def take(self) -> list[Taken]:
        """Return the next batch; an empty one where nothing will come any more."""
        with self._lock:
            while not self._abandoned:
                self._drop_old()
                ready = [lane for lane in self._lanes if lane.is_ready]
                wait = self._wait(ready)
                if wait <= 0:
                    return self._batch(ready)
                if not ready and self._closed and all(lane.is_over for lane in self._lanes):
                    return []
                self._more.wait(None if wait == float("inf") else wait)
            return []

    def close(self) -> None:
        """Say that no further lane will be added: :meth:`take` ends with the last of them."""
        with self._lock:
            self._closed = True
            self._more.notify_all()

    def abandon(self) -> None:
        """Throw away what lies here and release everyone who waits."""
        with self._lock:
            self._abandoned = True
            for lane in self._lanes:
                lane.items.clear()
                lane.room.notify_all()
            self._more.notify_all()

    def _make_room(self, lane: Lane) -> None:
        """Drop frames that a newer one replaces: all but those of the same burst."""
        now = time.monotonic()
        while lane.items and (len(lane.items) >= lane.capacity or now - lane.items[0][1] > _BURST_S):
            lane.items.popleft()
            lane.dropped(1)

    def _refuses(self, lane: Lane) -> bool:
        return self._abandoned or lane.finished or lane.is_served

    def _wait(self, ready: Sequence[Lane]) -> float:
        """Return how long to wait for a fuller batch; 0 for a batch that should be taken now."""
        if not ready:
            return float("inf")
        now = time.monotonic()
        expected = sum(not lane.is_over and now - lane.last_put < _EXPECTED_S for lane in self._lanes)
        if sum(self._takable(lane) for lane in ready) >= min(self.most, max(expected, 1)):
            return 0.0
        return self._wait_s - (now - min(lane.items[0][1] for lane in ready))

    def _takable(self, lane: Lane) -> int:
        return min(len(lane.items), lane.most_in_flight - lane.in_flight)

    def _batch(self, ready: Sequence[Lane]) -> list[Taken]:
        """Take a frame of each lane, those first that were served longest ago; again until the batch is full."""
        batch: list[Taken] = []
        while len(batch) < self.most and (open_lanes := [lane for lane in ready if lane.is_ready]):
            for lane in sorted(open_lanes, key=lambda lane: lane.turn)[: self.most - len(batch)]:
                self._turn += 1
                lane.turn = self._turn
                captured, _ = lane.items.popleft()
                batch.append(Taken(lane, lane.taken, captured))
                lane.taken += 1
                lane.in_flight += 1
                lane.room.notify()
        if any(lane.is_over for lane in ready):
            self._more.notify_all()
        elif any(lane.is_ready for lane in ready):
            self._more.notify()
        return batch

    def _drop_old(self) -> None:
        now = time.monotonic()
        for lane in self._lanes:
            while lane.live and lane.items and now - lane.items[0][0].frame.captured_at > lane.max_age_s:
                lane.items.popleft()
                lane.dropped(1)
