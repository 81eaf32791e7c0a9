"""Medians with their intervals, of times that were measured in turns: no distribution is assumed.

The interval is the one between two order statistics. How many of n independent values lie below the median is binomial
with p = 1/2, whatever the values' distribution; so the k-th smallest and the k-th largest enclose the median with the
probability ``1 - 2 P(Binomial(n, 1/2) < k)``. The largest k that keeps at least the wanted probability is taken, and
what it really is, is said: for few values it is more than was wanted, or, below six for 95 %, less.

Two things are compared in blocks: one block of each, one after the other, is a pair that met the machine alike. The
ratio of a pair is one value, and the median of these has an interval as above.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

CONFIDENCE = 0.95
"""Share of the values that an interval holds, by default."""


@dataclass(frozen=True)
class Interval:
    """A median and where the true one lies.

    Attributes:
        median: of the values, in their own unit.
        low, high: ends of the interval; values that were measured.
        confidence: probability that it holds the true median, 0 to 1; of one or two values it is 0 or 0.5.
        count: values.
    """

    median: float
    low: float
    high: float
    confidence: float
    count: int

    @property
    def half_width(self) -> float:
        """The larger distance from the median to an end, in the values' unit."""
        return max(self.median - self.low, self.high - self.median)

    def holds(self, value: float) -> bool:
        """Whether a value lies in it."""
        return self.low <= value <= self.high

    def agrees_with(self, other: Interval) -> bool:
        """Whether the two have a value in common."""
        return self.low <= other.high and other.low <= self.high


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the median of at least one value, with the interval of order statistics.

    Args:
        values: independent ones, in any order.
        confidence: that is wanted, 0 to 1.
    """
    ordered, count = sorted(values), len(values)
    rank = _rank(count, confidence)
    return Interval(
        float(median(ordered)), float(ordered[rank - 1]), float(ordered[count - rank]), coverage(count, rank), count
    )


def paired_ratio(mine: Sequence[float], theirs: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return how many times as long as ``theirs`` the blocks of ``mine`` took: the median over the pairs.

    Raises:
        ValueError: they are of different lengths, or empty.
    """
    return median_interval([one / other for one, other in zip(mine, theirs, strict=True)], confidence)


def coverage(count: int, rank: int) -> float:
    """Return the probability that the ``rank``-th smallest and largest of ``count`` values enclose their median."""
    below = sum(math.comb(count, few) for few in range(rank))
    return max(0.0, 1.0 - below / float(2 ** (count - 1)))


def _rank(count: int, confidence: float) -> int:
    """Return the largest rank whose interval still has the wanted confidence; 1 where none has."""
    rank = 1
    while 2 * (rank + 1) <= count and coverage(count, rank + 1) >= confidence:
        rank += 1
    return rank


def verdict(ratio: Interval) -> str:
    """Return in one word how a contestant compares with the reference: ``faster``, ``slower`` or ``same``.

    ``same`` means that the interval holds 1: a difference, if there is one, was not found.
    """
    if ratio.holds(1.0):
        return "same"
    return "slower" if ratio.low > 1 else "faster"
