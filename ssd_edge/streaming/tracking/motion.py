"""Motion of boxes: a Kalman filter with constant velocity that takes the real time between frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64] | npt.NDArray[np.bool_]

_MEASURED = 0.05  # standard deviation of a detected box's center and sides, in sizes (ByteTrack and DeepSORT: 1/20)
_ACCELERATION = np.array([4.0, 4.0, 1.0, 1.0])  # density of the noise, in sizes² per s³: centers and sides
_FIRST_SPEED = np.array([2.0, 2.0, 0.5, 0.5])  # standard deviation of a new box's velocities, in sizes per s
_LEAST_SIDE = 1.0  # pixels


class BoxMotion:
    """Position and velocity of N boxes.

    Each of cx, cy, w, h has a filter of its own with the state (value, velocity), since neither the model nor the
    measurement connects them: this is the filter of 8 states that SORT, DeepSORT and ByteTrack have, whose covariance
    consists of four blocks of 2 x 2. The acceleration is white noise of density q, so that a step of t seconds adds
    ``q [[t³/3, t²/2], [t²/2, t]]`` to a block (Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to Tracking
    and Navigation", 2001, section 6.2.2): two steps of t/2 add what one of t does. Noise is in proportion to the box's
    *size*, the square root of its area.
    """

    def __init__(self) -> None:
        self._value = np.zeros((0, 4))  # cx, cy, w, h in pixels
        self._speed = np.zeros((0, 4))  # per second
        self._variance = np.zeros((3, 0, 4))  # of value, of value and velocity, of velocity

    def __len__(self) -> int:
        return len(self._value)

    @property
    def boxes(self) -> Array:
        """The (N, 4) boxes now, x1 y1 x2 y2 in pixels."""
        half = self._value[:, 2:] / 2
        return np.concatenate([self._value[:, :2] - half, self._value[:, :2] + half], axis=1)

    @property
    def deviations(self) -> Array:
        """The (N, 2) standard deviations of the centers, in pixels."""
        return np.sqrt(self._variance[0, :, :2])

    @property
    def sizes(self) -> Array:
        """The (N, 1) square roots of the areas, in pixels."""
        return np.sqrt(self._value[:, 2:3] * self._value[:, 3:])

    def predict(self, seconds: float, is_lost: Rows) -> None:
        """Move all boxes on by a time; those that are lost keep their size, as in ByteTrack."""
        self._speed[is_lost, 2:] = 0
        self._value += seconds * self._speed
        self._value[:, 2:] = np.maximum(self._value[:, 2:], _LEAST_SIDE)
        density = _ACCELERATION * self.sizes**2
        value, both, speed = self._variance
        value += 2 * seconds * both + seconds**2 * speed + density * (seconds**3 / 3)
        both += seconds * speed + density * (seconds**2 / 2)
        speed += density * seconds

    def correct(self, rows: Rows, boxes: Array) -> None:
        """Take the detected (len(rows), 4) boxes, x1 y1 x2 y2 in pixels, of some rows into account."""
        noise = (_MEASURED * self.sizes[rows]) ** 2
        value, both, speed = self._variance[:, rows]
        total = value + noise
        gain, speed_gain = value / total, both / total
        error = _center_form(boxes) - self._value[rows]
        self._value[rows] += gain * error
        self._value[rows, 2:] = np.maximum(self._value[rows, 2:], _LEAST_SIDE)
        self._speed[rows] += speed_gain * error
        self._variance[:, rows] = np.stack([(1 - gain) * value, (1 - gain) * both, speed - speed_gain * both])

    def doubt(self, rows: Rows) -> None:
        """Shrink the velocities of some rows by what may be noise in them, before nothing corrects them for a while.

        The factor is ``v² / (v² + σ²)``, of both directions together: what moves keeps its velocity, and what jitters
        stays near.
        """
        moved = (self._speed[rows, :2] ** 2).sum(axis=1, keepdims=True)
        noise = self._variance[2, rows, :2].sum(axis=1, keepdims=True)
        self._speed[rows, :2] *= moved / (moved + noise)

    def add(self, boxes: Array) -> None:
        """Append boxes, x1 y1 x2 y2 in pixels, at rest."""
        added = _center_form(boxes)
        size = np.sqrt(added[:, 2:3] * added[:, 3:])
        first = np.stack([np.broadcast_to((_MEASURED * size) ** 2, added.shape), np.zeros_like(added),
                          (_FIRST_SPEED * size) ** 2])  # fmt: skip
        self._value = np.concatenate([self._value, added])
        self._speed = np.concatenate([self._speed, np.zeros_like(added)])
        self._variance = np.concatenate([self._variance, first], axis=1)

    def keep(self, kept: Rows) -> None:
        """Keep some rows only."""
        self._value, self._speed, self._variance = self._value[kept], self._speed[kept], self._variance[:, kept]


def _center_form(boxes: Array) -> Array:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], _LEAST_SIDE)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, sides], axis=1)
