"""Drawn scenes for trackers: boxes on known paths, seen as a detector sees them, and what a tracker made of them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.detections import Detections

WIDTH, HEIGHT = 1280, 720
NAMES = ("person", "car")
FALSE = -1
"""In place of the number of an object: a false detection."""

Path = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Mover:
    """An object: the way of its center, its sides in pixels, when it is there, hidden, or doubted."""

    path: Path
    size: tuple[float, float] = (60.0, 120.0)
    class_id: int = 0
    begins: float = 0.0
    ends: float = math.inf
    hidden: Sequence[tuple[float, float]] = ()
    weak: Sequence[tuple[float, float]] = ()
    score: float = 0.9

    def box(self, time: float) -> list[float]:
        x, y = self.path(time)
        width, height = self.size
        return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


@dataclass(frozen=True)
class Scene:
    """What a detector sees.

    Attributes:
        movers: the objects; the later ones are in front.
        times: of the frames, in seconds.
        jitter: standard deviation of each edge, as a share of the box's side.
        missed: share of the detections that are missing.
        doubted: share of the detections whose score is 0.1 to 0.5.
        false: false detections a frame, with scores up to ``false_score``.
        nms_iou: of two detections of one class that overlap by more, the one behind is missing.
    """

    movers: Sequence[Mover]
    times: Sequence[float]
    jitter: float = 0.02
    missed: float = 0.0
    doubted: float = 0.0
    false: float = 0.0
    false_score: float = 0.9
    nms_iou: float = 0.45
    seed: int = 0

    def frames(self) -> list[tuple[float, Detections, list[int]]]:
        """The detections of each frame with its time, and the object that each detection is of."""
        rng = np.random.default_rng(self.seed)
        return [(time, *self._frame(time, rng)) for time in self.times]

    def _frame(self, time: float, rng: np.random.Generator) -> tuple[Detections, list[int]]:
        rows: list[tuple[list[float], float, int, int]] = []
        seen: list[Mover] = []
        for number, mover in reversed(list(enumerate(self.movers))):
            jitter, missed, doubted, score = rng.normal(0, self.jitter, 4), *rng.random(2), rng.uniform(0.15, 0.45)
            box = mover.box(time)
            is_there = mover.begins <= time <= mover.ends and box[2] > 0 and box[0] < WIDTH
            if (
                not is_there
                or within(time, mover.hidden)
                or missed < self.missed
                or self._is_covered(mover, seen, time)
            ):
                continue
            seen.append(mover)
            weak = within(time, mover.weak) or doubted < self.doubted
            noisy = np.array(box) + jitter * np.array([*mover.size, *mover.size])
            rows.append((noisy.tolist(), score if weak else mover.score, mover.class_id, number))
        for _ in range(rng.poisson(self.false)):
            x, y, side = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(40, 120)
            rows.append(([x, y, x + side, y + side], rng.uniform(0.1, self.false_score), int(rng.integers(2)), FALSE))
        rows.sort(key=lambda row: -row[1])
        found = Detections(
            np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
            np.array([row[1] for row in rows], np.float32),
            np.array([row[2] for row in rows], np.int64),
            NAMES,
        )
        return found, [row[3] for row in rows]

    def _is_covered(self, mover: Mover, seen: Sequence[Mover], time: float) -> bool:
        boxes = np.array([other.box(time) for other in seen if other.class_id == mover.class_id], np.float32)
        return (
            bool(len(boxes)) and float(iou_matrix(np.array([mover.box(time)], np.float32), boxes).max()) > self.nms_iou
        )


def within(time: float, spans: Sequence[tuple[float, float]]) -> bool:
    return any(begin <= time < end for begin, end in spans)


def line(x: float, y: float, across: float, down: float = 0.0) -> Path:
    """A straight way; pixels, and pixels a second."""
    return lambda time: (x + across * time, y + down * time)


def regular(seconds: float, rate: float = 25.0) -> list[float]:
    return [number / rate for number in range(int(seconds * rate))]


def irregular(seconds: float, rate: float = 25.0, kept: float = 0.4, seed: int = 1) -> list[float]:
    """Times of the frames that a busy machine takes of a camera."""
    chosen = np.random.default_rng(seed).random(int(seconds * rate)) < kept
    return [number / rate for number in np.flatnonzero(chosen).tolist()]


@dataclass
class Report:
    """How well a tracker has kept the objects apart.

    Attributes:
        ids: of each object, in order, without repetition.
        switches: changes of an object's id.
        shared: ids that several objects had.
        idf1: of the frames' objects, true or reported, the share that the best one-to-one map of objects to ids
            explains (Ristani et al. 2016, arXiv 1609.01775).
        reported: detections that were reported.
        false: of these, the false ones.
    """

    ids: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    switches: int = 0
    shared: int = 0
    idf1: float = 0.0
    reported: int = 0
    false: int = 0


def report(reported: Sequence[Sequence[tuple[int, int]]], objects: int) -> Report:
    """Return the figures of pairs (object, id) of each frame; ``objects`` were there to be seen, over all frames."""
    found, together = Report(), Counter(pair for frame in reported for pair in frame)
    for frame in reported:
        for number, track_id in frame:
            found.reported += 1
            found.false += number == FALSE
            if number != FALSE and found.ids[number][-1:] != [track_id]:
                found.switches += bool(found.ids[number])
                found.ids[number].append(track_id)
    holders = defaultdict(set)
    for number, track_id in together:
        if number != FALSE:
            holders[track_id].add(number)
    found.shared = sum(len(numbers) > 1 for numbers in holders.values())
    right, numbers, ids = 0, set(), set()
    for (number, track_id), count in together.most_common():  # greedy: a lower bound of the best map
        if number != FALSE and number not in numbers and track_id not in ids:
            right, numbers, ids = right + count, numbers | {number}, ids | {track_id}
    found.idf1 = 2 * right / max(1, objects + found.reported)
    return found


LONG_WAY = [Mover(line(100, 200, 180)), Mover(line(1180, 500, -220), (90, 60), 1)]
SCENES = {
    "straight": Scene(LONG_WAY, regular(6)),
    "irregular": Scene(LONG_WAY, irregular(6)),
    "slow camera": Scene(LONG_WAY, regular(6, 5.0)),
    "crossing": Scene([Mover(line(200, 300, 150)), Mover(line(1100, 330, -150))], regular(6)),
    "crossing, irregular": Scene([Mover(line(200, 300, 150)), Mover(line(1100, 330, -150))], irregular(6)),
    "crossing at 8 frames a second": Scene([Mover(line(200, 300, 150)), Mover(line(1100, 330, -150))], regular(6, 8.0)),
    "overtaking": Scene([Mover(line(100, 300, 220)), Mover(line(300, 310, 120))], regular(5)),
    "occlusion": Scene([Mover(line(100, 200, 180), hidden=[(2.0, 2.4), (4.0, 4.8)])], regular(6)),
    "occlusion, irregular": Scene([Mover(line(100, 200, 180), hidden=[(2.0, 2.4), (4.0, 4.7)])], irregular(6)),
    "missed": Scene(LONG_WAY, regular(6), missed=0.3),
    "weak": Scene(
        [Mover(line(100, 200, 180), weak=[(1.0, 3.0)]), Mover(line(1180, 300, -200))], regular(6), doubted=0.3
    ),
    "false": Scene(LONG_WAY, regular(6), false=1.0, false_score=0.9),
    "false and weak": Scene(LONG_WAY, regular(6), false=3.0, false_score=0.45),
    "crowd": Scene(
        [Mover(line(150 + 110 * n, 150 + 40 * (n % 5), 60 - 12 * (n % 4), 20 - 10 * (n % 3)), begins=0.1 * n)
         for n in range(9)],
        irregular(8, kept=0.7), jitter=0.03, missed=0.1, doubted=0.2, false=0.5, false_score=0.45,
    ),
    "column": Scene([Mover(line(-400 + 170 * n, 400, 300), (110, 70), 1) for n in range(7)], regular(5), missed=0.05),
    "curve": Scene(
        [Mover(lambda time: (640 + 300 * math.cos(1.5 * time), 360 + 250 * math.sin(1.5 * time)))], irregular(8)
    ),
}  # fmt: skip
"""By what they show."""
