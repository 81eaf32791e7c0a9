"""A histogram of any stream of values in constant memory, the same whatever order and portions they come in.

Its bins are as wide as a power of two, 4096 on either side of zero. When a value lies outside, the bins are doubled:
two neighbours become one, which loses nothing, since bins of the double width are made of whole bins. So the counts are
those that the final width would have given from the beginning.
"""

from __future__ import annotations

import math
from types import NoneType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ssd_edge.core.errors import ArtefactError
from ssd_edge.core.frame import FloatArray

SIDE_BINS = 4096
_MOST_IN_A_CALL = 1 << 24  # OpenCV counts in float32

Counts = npt.NDArray[np.int64]


class StreamingHistogram:
    """Counts of values, with their exact extremes.

    Attributes:
        counts: (2 * SIDE_BINS,) int64; bin i holds values from ``(i - SIDE_BINS) * width`` up to the next bin.
        exponent: the width is ``2 ** exponent``; None before the first value that is not zero.
        low, high: the smallest and largest value.
    """

    def __init__(self) -> None:
        self.counts: Counts = np.zeros(2 * SIDE_BINS, np.int64)
        self.exponent: int | None = None
        self.low, self.high = math.inf, -math.inf

    @property
    def width(self) -> float:
        """Width of a bin."""
        return 1.0 if self.exponent is None else 2.0**self.exponent

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """(2 * SIDE_BINS + 1,) edges of the bins."""
        return np.asarray(np.arange(-SIDE_BINS, SIDE_BINS + 1) * self.width, np.float64)

    def add(self, values: FloatArray, *, name: str = "a tensor") -> None:
        """Count float32 values of any shape.

        Raises:
            ArtefactError: one is not finite; ``name`` is told.
        """
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ArtefactError(
                f"{name} is not finite", got=f"{low} to {high}", do="The network is broken: train or export it again."
            )
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._reach(max(-low, high))
        flat = np.ascontiguousarray(values, np.float32).reshape(1, -1)
        for start in range(0, flat.shape[1], _MOST_IN_A_CALL):
            self.counts += self._count(flat[:, start : start + _MOST_IN_A_CALL])

    def state(self) -> dict[str, Any]:
        """Return all that :meth:`restored` needs."""
        return {"counts": self.counts, "exponent": self.exponent, "low": self.low, "high": self.high}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> StreamingHistogram:
        """Return the histogram of a :meth:`state`.

        Raises:
            ValueError: it is none.
        """
        histogram = cls()
        counts, exponent = np.asarray(state["counts"]), state["exponent"]
        if counts.shape != histogram.counts.shape or counts.dtype != np.int64 or type(exponent) not in (int, NoneType):
            raise ValueError("no counts of a histogram")
        histogram.counts, histogram.exponent = counts, exponent
        histogram.low, histogram.high = float(state["low"]), float(state["high"])
        return histogram

    def _reach(self, magnitude: float) -> None:
        """Widen the bins until ``magnitude`` lies inside of the last one."""
        if magnitude > 0:
            _, power = math.frexp(magnitude)  # magnitude < 2 ** power
            self._widen(power - (SIDE_BINS.bit_length() - 1))

    def _widen(self, exponent: int) -> None:
        if self.exponent is None:
            self.exponent = exponent  # so far there were zeros only, and zero begins a bin of any width
        while self.exponent < exponent:
            self.counts = _halved(self.counts)
            self.exponent += 1

    def _count(self, row: FloatArray) -> Counts:
        reach = SIDE_BINS * self.width
        found = cv2.calcHist([row], [0], None, [2 * SIDE_BINS], [-reach, reach])
        return np.asarray(found.reshape(-1), np.int64)


def _halved(counts: Counts) -> Counts:
    """Return the counts for bins of the double width, on the same number of bins around zero."""
    pairs = counts.reshape(-1, 2).sum(axis=1)
    wider = np.zeros_like(counts)
    quarter = len(counts) // 4
    wider[quarter : quarter + len(pairs)] = pairs
    return wider
