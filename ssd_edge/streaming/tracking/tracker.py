"""Tracker: detections of one frame after another in, the same with ids out, which an object keeps."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ssd_edge.core.boxes import iou_matrix
from ssd_edge.core.config import check_number, shown_number
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.streaming.selection import DetectionFilter
from ssd_edge.streaming.tracking.assignment import assign
from ssd_edge.streaming.tracking.motion import BoxMotion

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LOW_SCORE = 0.1
"""Detections that score more may continue a track, also where they are too weak to begin one (ByteTrack's value)."""

_LEAST_IOU = 0.2  # of a predicted box with a detection that continues its track; ByteTrack's match threshold of 0.8
_LEAST_IOU_LOW = 0.5  # with a weak detection, as in ByteTrack
_MOST_COVERED = 0.5  # IoU of a weak detection with one above the threshold, of any class
_MOST_WIDENED = 0.5  # sizes, on each side
_INTERVALS = 3  # between frames, that a track lives at least without a detection
_REMEMBERED = 9  # intervals, whose median is the usual one
_FEW = 3  # intervals: of fewer, none says what is usual
_MOST_AT_FIRST_S = 10.0  # of the usual interval, while there are few
_MOST_LOST = 300  # tracks


class Tracker:
    """Gives each object an id that stays the same over frames, with the method of ByteTrack (arXiv 2110.06864).

    ::

        tracker = ssd.Tracker(score_threshold=0.5)
        for frame, detections in frames:
            for d in tracker.update(detections, frame.time):
                print(d.track_id, d.label, d.box)

    Each track predicts its box with constant velocity over the real time since the frame before. Then, in this order,
    detections continue tracks of their own class, with the greatest total IoU (intersection over union):

    1. those above the score threshold, any track (IoU over 0.2);
    2. weaker ones, tracks that were detected in the frame before (IoU over 0.5). Those that overlap a detection above
       the threshold by an IoU over 0.5 are left out: SSDs suppress each class for itself, and so report an object's
       second best class as well;
    3. those above the threshold that are left, tracks that are left, after both boxes were widened by the standard
       deviation of the prediction, by at most half of the box: new and fast objects at low frame rates.

    A detection above the threshold that continues no track begins one, and is reported at once. (ByteTrack waits for a
    second detection, a delay that a camera's user would see; a false detection so gets an id of its own.) A weaker one
    that continues no track is left out. Give the detector a lower threshold than the tracker, such as 0.1, for the
    weaker ones to come. One tracker is for one stream; use it on one thread.

    Args:
        score_threshold: detections that score more begin tracks, from 0 to 1.
        thresholds: of some labels, in place of ``score_threshold``.
        classes: tracks, and returns, only these labels; None for all.
        low_score: weaker detections that score more than this may continue a track.
        timeout: seconds that a track lives without a detection, or three usual frame intervals where that is longer;
            of the tracks without a detection only the 300 that had one last live on. The usual interval is the median
            of the last nine; before there are three, at most 10 s.

    Raises:
        InputError: a value out of range.
    """

    def __init__(
        self,
        score_threshold: float = 0.5,
        *,
        thresholds: Mapping[str, float] | None = None,
        classes: Collection[str] | None = None,
        low_score: float = LOW_SCORE,
        timeout: float = 1.0,
    ) -> None:
        kept = None if classes is None else frozenset(classes)
        self._keep = DetectionFilter(score_threshold, kept, dict(thresholds or {}))
        for name, value, most in (("low_score", low_score, 1.0), ("timeout", timeout, math.inf)):
            check_number(name, value)
            if not 0 <= value < most:
                raise InputError(f"{name} is out of range", got=shown_number(value), wanted=f"0 <= {name} < {most:g}")
        self._low_score, self._timeout = low_score, timeout
        self._begun = 0
        self._time: float | None = None
        self._intervals: deque[float] = deque(maxlen=_REMEMBERED)
        self._class_names: tuple[str, ...] | None = None
        self._motion = BoxMotion()  # of each track, as all that follows
        self._ids: Indices = np.zeros(0, np.int64)
        self._class_ids: Indices = np.zeros(0, np.int64)
        self._seen_at: Array = np.zeros(0)
        self._seen_box: Array = np.zeros((0, 4))
        self._is_lost: Mask = np.zeros(0, np.bool_)

    @property
    def begun(self) -> int:
        """The number of tracks so far: ids are 1 to this."""
        return self._begun

    def reset(self) -> None:
        """End all tracks, as a camera that was moved or opened again needs; ids go on from where they are."""
        self._keep_only(np.zeros(len(self._ids), np.bool_))
        self._time = None
        self._intervals.clear()

    def update(self, detections: Detections, time: float) -> Detections:
        """Return the detections that begin or continue a track, in the same order, with their ``track_ids``.

        Boxes and scores are as they were detected. All tracks end where the time runs backwards, or where the classes
        are others than before.

        Args:
            detections: of one frame, in its pixels, best first.
            time: of the frame, in seconds, from any start, such as ``frame.time``.

        Raises:
            InputError: the time is no number.
        """
        check_number("time", time)
        if not math.isfinite(time):
            raise InputError("time is not finite", got=f"{time}", wanted="seconds")
        boxes = detections.boxes.astype(np.float64)
        least = self._keep.thresholds_of(detections)
        is_sound = np.isfinite(boxes).all(axis=1)
        is_scored = is_sound & (detections.scores > least)
        is_strong = is_sound & (detections.scores > np.where(least < 1, least, self._keep.score_threshold))
        is_weak = is_sound & (least < 1) & ~is_scored & (detections.scores > self._low_score)
        is_weak &= ~_is_covered(boxes, is_weak, is_strong)
        if len(detections) and detections.class_names != self._class_names:
            self.reset()
            self._class_names = detections.class_names
        rested = self._begin_frame(float(time))
        rows, columns = self._associated(boxes, detections.class_ids, is_scored, is_weak, rested)
        track_ids = np.zeros(len(boxes), np.int64)
        track_ids[columns] = self._ids[rows]
        self._continue(rows, boxes[columns])
        is_scored[columns] = False
        track_ids[is_scored] = self._begin(boxes[is_scored], detections.class_ids[is_scored])
        found = track_ids > 0
        return replace(detections[found], track_ids=track_ids[found])

    def _begin_frame(self, now: float) -> bool:
        """End what is too old, and move the rest on to now; return whether no frame came for unusually long."""
        if self._time is not None and now < self._time:
            self.reset()
        step = 0.0 if self._time is None else now - self._time
        self._time = now
        usual = sorted(self._intervals)[len(self._intervals) // 2] if self._intervals else step
        if len(self._intervals) < _FEW:
            usual = min(usual, _MOST_AT_FIRST_S)
        if step > 0:
            self._intervals.append(step)
        if not len(self._motion):
            return False
        self._keep_only(now - self._seen_at <= max(self._timeout, _INTERVALS * usual))
        self._motion.predict(step, self._is_lost)
        return step > _INTERVALS * usual

    def _associated(
        self, boxes: Array, class_ids: Indices, is_scored: Mask, is_weak: Mask, rested: bool
    ) -> tuple[Indices, Indices]:
        """Return the pairs of tracks and detections that belong together."""
        if not len(self._motion) or not len(boxes):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        is_same = self._class_ids[:, None] == class_ids[None, :]
        predicted = self._motion.boxes
        iou = np.where(is_same, _iou(predicted, boxes), 0)
        if rested:  # what moved may have stopped meanwhile, as --motion leaves out the frames of a scene at rest
            iou = np.maximum(iou, np.where(is_same & ~self._is_lost[:, None], _iou(self._seen_box, boxes), 0))
        pairs = _Pairs(len(predicted), len(boxes))
        pairs.add(iou, _LEAST_IOU, np.ones(len(predicted), np.bool_), is_scored)
        pairs.add(iou, _LEAST_IOU_LOW, ~self._is_lost, is_weak)
        if pairs.leaves(is_scored):
            margin = np.minimum(self._motion.deviations, _MOST_WIDENED * self._motion.sizes)
            pairs.add(np.where(is_same, _widened_iou(predicted, boxes, margin), 0), _LEAST_IOU,
                      np.ones(len(predicted), np.bool_), is_scored)  # fmt: skip
        return pairs.rows, pairs.columns

    def _continue(self, rows: Indices, boxes: Array) -> None:
        """Correct the tracks that were detected; the others are lost, and of too many the oldest end."""
        is_missed = np.ones(len(self._ids), np.bool_)
        is_missed[rows] = False
        self._motion.doubt(is_missed & ~self._is_lost)
        self._is_lost = is_missed
        if rows.size:
            self._motion.correct(rows, boxes)
            self._seen_at[rows], self._seen_box[rows] = self._time, boxes
        lost = np.flatnonzero(is_missed)
        if lost.size > _MOST_LOST:
            kept = ~is_missed
            kept[lost[np.argsort(self._seen_at[lost], kind="stable")[-_MOST_LOST:]]] = True
            self._keep_only(kept)

    def _begin(self, boxes: Array, class_ids: Indices) -> Indices:
        count = len(boxes)
        ids = np.arange(self._begun + 1, self._begun + count + 1)
        if count:
            self._begun += count
            self._motion.add(boxes)
            self._ids = np.concatenate([self._ids, ids])
            self._class_ids = np.concatenate([self._class_ids, class_ids])
            self._seen_at = np.concatenate([self._seen_at, np.full(count, self._time)])
            self._seen_box = np.concatenate([self._seen_box, boxes])
            self._is_lost = np.concatenate([self._is_lost, np.zeros(count, np.bool_)])
        return ids

    def _keep_only(self, kept: Mask) -> None:
        if kept.all():
            return
        self._motion.keep(kept)
        self._ids, self._class_ids, self._is_lost = self._ids[kept], self._class_ids[kept], self._is_lost[kept]
        self._seen_at, self._seen_box = self._seen_at[kept], self._seen_box[kept]


class _Pairs:
    """Pairs of tracks (rows) and detections (columns), found in several rounds."""

    def __init__(self, tracks: int, detections: int) -> None:
        self.rows = self.columns = np.zeros(0, np.int64)
        self._is_free_row, self._is_free_column = np.ones(tracks, np.bool_), np.ones(detections, np.bool_)

    def leaves(self, columns: Mask) -> bool:
        """Whether one of the columns, and any row, has no partner yet."""
        return bool((self._is_free_column & columns).any() and self._is_free_row.any())

    def add(self, iou: Array, least: float, rows: Mask, columns: Mask) -> None:
        """Pair those of the rows and columns that have no partner yet and an IoU over ``least``."""
        left, right = np.flatnonzero(rows & self._is_free_row), np.flatnonzero(columns & self._is_free_column)
        if not left.size or not right.size:
            return
        weights = iou[np.ix_(left, right)]
        first, second = assign(weights * (weights > least))
        self.rows, self.columns = np.append(self.rows, left[first]), np.append(self.columns, right[second])
        self._is_free_row[left[first]] = False
        self._is_free_column[right[second]] = False


def _iou(first: Array, second: Array) -> Array:
    return np.asarray(iou_matrix(first, second), np.float64)  # type: ignore[arg-type]


def _is_covered(boxes: Array, is_weak: Mask, is_strong: Mask) -> Mask:
    """Return the (N,) mask of the weak boxes where a strong one lies already."""
    covered = np.zeros(len(boxes), np.bool_)
    if is_weak.any() and is_strong.any():
        covered[is_weak] = _iou(boxes[is_weak], boxes[is_strong]).max(axis=1) > _MOST_COVERED
    return covered


def _widened_iou(tracks: Array, detections: Array, margin: Array) -> Array:
    """Return the (N, M) IoU after the boxes of each pair were widened by its track's (N, 2) margin in x and y."""
    low = np.maximum(tracks[:, None, :2], detections[None, :, :2]) - margin[:, None]
    high = np.minimum(tracks[:, None, 2:], detections[None, :, 2:]) + margin[:, None]
    shared = np.maximum(high - low, 0).prod(axis=2)
    areas = (tracks[:, 2:] - tracks[:, :2] + 2 * margin).prod(axis=1)[:, None]
    others = (detections[None, :, 2:] - detections[None, :, :2] + 2 * margin[:, None]).prod(axis=2)
    return np.asarray(shared / np.maximum(areas + others - shared, 1e-9))
