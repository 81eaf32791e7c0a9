"""Selection of the frames that are inferred and of the detections that are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from ssd_edge.core.config import check_number, shown_number
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray, Frame, UInt8Array

MOTION_REST_S = 5.0
"""Seconds after which a scene at rest is inferred all the same, for what came in slowly."""

_MOTION_SIDE = 96  # pixels of the small gray image that is compared
_MOTION_STEP = 18  # of 255: a smaller change of a pixel is noise
_SLOW_UPDATE = 0.05  # of each frame, in the remembered scene
_RATE_SLACK = 0.1  # of the interval: time stamps are not quite even


@dataclass(frozen=True)
class DetectionFilter:
    """Filter of a stream's detections.

    Attributes:
        score_threshold: keeps what scores more, from 0 to 1.
        classes: keeps only these labels; None for all.
        thresholds: of some labels, in place of ``score_threshold``.

    Raises:
        InputError: a threshold outside of 0 to 1.
    """

    score_threshold: float = 0.0
    classes: frozenset[str] | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, score in {"the score threshold": self.score_threshold, **self.thresholds}.items():
            check_number(name, score)
            if not 0 <= score < 1:
                raise InputError(f"{name} is out of range", got=shown_number(score), wanted="0 <= threshold < 1")

    @property
    def labels(self) -> frozenset[str]:
        """The labels that are named."""
        return (self.classes or frozenset()) | frozenset(self.thresholds)

    @property
    def lowest(self) -> float:
        """The lowest threshold of any class that is kept."""
        kept = [score for label, score in self.thresholds.items() if self.classes is None or label in self.classes]
        return min([self.score_threshold, *kept])

    def check(self, class_names: tuple[str, ...]) -> None:
        """Raise InputError where a label is none of the model's."""
        unknown = sorted(self.labels - set(class_names))
        if unknown:
            raise InputError(f"the model has no class {', '.join(map(repr, unknown))}", wanted=", ".join(class_names))

    def kept(self, found: Detections) -> Detections:
        """Return the detections that are kept, in the same order."""
        if self.classes is None and not self.thresholds:
            return found.above(self.score_threshold)
        return found[found.scores > self.thresholds_of(found)] if len(found) else found

    def thresholds_of(self, found: Detections) -> FloatArray:
        """Return the (N,) threshold of each detection; 1, which no score exceeds, for a class that is not kept."""
        if self.classes is None and not self.thresholds:
            return np.full(len(found), self.score_threshold, np.float32)
        names = found.class_names or found.labels
        least = np.array([self._least(label) for label in names], np.float32)
        return least[found.class_ids] if found.class_names else least

    def _least(self, label: str) -> float:
        if self.classes is not None and label not in self.classes:
            return 1.0
        return self.thresholds.get(label, self.score_threshold)


@dataclass(frozen=True)
class FrameSelection:
    """Selection of frames to infer; the others are counted as skipped.

    Attributes:
        every: each ``every``-th frame that comes.
        detect_fps: at most so many frames a second, by their own time; None for all.
        motion: only frames in which at least this share of the scene has changed, from 0 to 1; None for all. A scene
            at rest is inferred every five seconds all the same.

    Raises:
        InputError: a value out of range.
    """

    every: int = 1
    detect_fps: float | None = None
    motion: float | None = None

    def __post_init__(self) -> None:
        check_number("every", self.every, whole=True)
        if self.every < 1:
            raise InputError("every is out of range", got=str(self.every), wanted="at least 1")
        for name, value, most in (("detect_fps", self.detect_fps, 1000.0), ("motion", self.motion, 1.0)):
            if value is not None:
                check_number(name, value)
                if not 0 < value <= most:
                    raise InputError(
                        f"{name} is out of range", got=shown_number(value), wanted=f"0 < {name} <= {most:g}"
                    )


class FrameGate:
    """Applies a selection to the frames of one stream, in order, on one thread."""

    def __init__(self, selection: FrameSelection) -> None:
        self._selection = selection
        self._seen = 0
        self._due = float("-inf")
        self._scene: cv2.typing.MatLike | None = None
        self._last_passed = float("-inf")

    def passes(self, frame: Frame) -> bool:
        """Whether the frame is to be inferred."""
        chosen = self._selection
        self._seen += 1
        if (self._seen - 1) % chosen.every:
            return False
        if chosen.motion is not None and not self._moves(frame, chosen.motion):
            return False
        return chosen.detect_fps is None or self._is_due(frame.time, 1 / chosen.detect_fps)

    def _is_due(self, now: float, interval: float) -> bool:
        if now < self._due - _RATE_SLACK * interval and now > self._due - 2 * interval:
            return False
        self._due = max(self._due, now - interval) + interval if self._due > now - 2 * interval else now + interval
        return True

    def _moves(self, frame: Frame, share: float) -> bool:
        small = _small(frame.image)
        if self._scene is None or self._scene.shape != small.shape:
            self._scene, self._last_passed = small, frame.time
            return True
        changed = float(np.count_nonzero(np.abs(small - self._scene) > _MOTION_STEP)) / small.size
        self._scene = self._scene + (small - self._scene) * _SLOW_UPDATE
        if changed < share and frame.time - self._last_passed < MOTION_REST_S:
            return False
        self._last_passed = frame.time
        return True


def _small(image: UInt8Array) -> cv2.typing.MatLike:
    """Return a small, smoothed gray image as float32: what is compared to find motion."""
    height, width = image.shape[:2]
    step = max(1, min(height, width) // (2 * _MOTION_SIDE))
    thumb = cv2.resize(image[::step, ::step], (_MOTION_SIDE, _MOTION_SIDE), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(cv2.cvtColor(thumb, cv2.COLOR_BGR2GRAY), (5, 5), 0).astype(np.float32)
