"""From a histogram to a range: what of a tensor's values INT8 must distinguish, and what it cuts off."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ssd_edge.core.calibration_table import CalibrationTable, Histogram, TensorRange, preprocessing_digest
from ssd_edge.core.choices import Method
from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.frame import FloatArray
from ssd_edge.graph.source import SourceModel
from ssd_edge.quantization.image_set import ImageSet

SIDE_BINS = 4096
_MOST_IN_A_CALL = 1 << 24  # OpenCV counts in float32
PERCENTILE = 99.99
_LEVELS = 128  # of a symmetric int8, without its sign
_ENTROPY_BINS = 2048
_ENTROPY_STEP = 16
_MSE_CANDIDATES = 64
_MSE_LEVELS = 255
_FINAL_BINS = 256

Counts = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]
Range = tuple[float, float]


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

    def add(self, values: FloatArray, *, name: str = "a tensor") -> None:
        """Count float32 values of any shape.

        Raises:
            ArtifactError: a value is not finite; the error names ``name``.
        """
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ArtifactError(
                f"the range of {name} is not finite",
                got=f"{low} to {high}",
                do="The network has NaN or infinite values: train or export it again.",
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
        low, high = float(state["low"]), float(state["high"])
        if counts.min() < 0 or not counts.any() or not -math.inf < low <= high < math.inf:
            raise ValueError("no values in a histogram")
        histogram.counts, histogram.exponent, histogram.low, histogram.high = counts, exponent, low, high
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


def minmax(histogram: StreamingHistogram) -> Range:
    """Return the extremes: nothing is cut off."""
    return histogram.low, histogram.high


def percentile(histogram: StreamingHistogram, percent: float = PERCENTILE) -> Range:
    """Return what holds ``percent`` of all values, half of the rest being cut off on either side.

    That is ONNX Runtime's definition. Inside a bin the values are taken to be spread evenly.
    """
    total = int(histogram.counts.sum())
    shares = np.concatenate([[0.0], np.cumsum(histogram.counts) / total])
    cut = (100 - percent) / 200
    low, high = (_at_share(histogram, shares, share) for share in (cut, 1 - cut))
    low, high = (min(max(value, histogram.low), histogram.high) for value in (low, high))
    return low, high


def _at_share(histogram: StreamingHistogram, shares: Float64Array, share: float) -> float:
    right = int(np.clip(np.searchsorted(shares, share), 1, len(shares) - 1))
    span = shares[right] - shares[right - 1]
    inside = (share - shares[right - 1]) / span if span > 0 else 0.0
    return float((right - 1 - SIDE_BINS + inside) * histogram.width)


def entropy(histogram: StreamingHistogram) -> Range:
    """Return the range whose 128 levels keep most of the magnitudes (Kullback-Leibler divergence).

    After Migacz, "8-bit Inference with TensorRT" (GTC 2017, S7310): for each threshold, P are the counts with all that
    lies above added to the last bin; Q are the counts without it, spread evenly over the 128 levels (over those bins
    that hold anything); the threshold with the least KL(P || Q) is taken. Magnitudes are counted in 2048 bins, zero's
    own bin left out: behind a ReLU it holds most of the values, is exact at any scale, and would drown the rest.
    """
    counts = _magnitudes(histogram)
    reach = max(-histogram.low, histogram.high)
    if counts.sum() == 0:
        return minmax(histogram)
    width = SIDE_BINS * histogram.width / _ENTROPY_BINS
    last = min(int(reach / width) + 1, _ENTROPY_BINS)  # at its edge, as a ReLU6 has it, the extreme is in the next
    candidates = [*range(_LEVELS, last, _ENTROPY_STEP), last] if last > _LEVELS else [last]
    best = min(candidates, key=lambda bins: _divergence(counts, bins))
    threshold = min(best * width, reach)
    return max(histogram.low, -threshold), min(histogram.high, threshold)


def _magnitudes(histogram: StreamingHistogram) -> Float64Array:
    """Return (2048,) counts of magnitudes, without the bin that begins at zero."""
    counts = histogram.counts
    both = counts[SIDE_BINS:] + counts[:SIDE_BINS][::-1]
    both[0] = 0
    return np.asarray(both.reshape(_ENTROPY_BINS, -1).sum(axis=1), np.float64)


def _divergence(counts: Float64Array, bins: int) -> float:
    """Return KL(P || Q) of keeping the first ``bins`` bins."""
    kept = counts[:bins]
    reference = kept.copy()
    reference[-1] += counts[bins:].sum()
    level = np.minimum(np.arange(bins) * _LEVELS // bins, _LEVELS - 1)
    held = kept > 0
    sums = np.bincount(level, weights=kept, minlength=_LEVELS)
    filled = np.bincount(level, weights=held, minlength=_LEVELS)
    quantized = np.where(held, (sums / np.maximum(filled, 1))[level], 0)
    total = quantized.sum()
    if total == 0:
        return float("inf")
    p, q = reference / reference.sum(), quantized / total
    inside = (p > 0) & (q > 0)
    lost = p[(p > 0) & (q == 0)].sum()  # a bin that only the cut-off values fill
    return float((p[inside] * np.log(p[inside] / q[inside])).sum() + lost * np.log(1e12))


def mse(histogram: StreamingHistogram) -> Range:
    """Return the range of the least mean squared error of 255 even steps, of 64 shrinkings of the extremes."""
    held = histogram.counts > 0
    counts = histogram.counts[held].astype(np.float64)
    centers = np.asarray((np.arange(-SIDE_BINS, SIDE_BINS) + 0.5)[held] * histogram.width, np.float64)
    shares = np.linspace(1 / _MSE_CANDIDATES, 1, _MSE_CANDIDATES)
    best = min(
        shares,
        key=lambda share: _squared_error(
            counts, centers, histogram.width, histogram.low * share, histogram.high * share
        ),
    )
    return float(histogram.low * best), float(histogram.high * best)


def _squared_error(counts: Float64Array, centers: Float64Array, width: float, low: float, high: float) -> float:
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / _MSE_LEVELS
    if step == 0:
        return float((counts * centers**2).sum())
    stored = np.round(np.clip(centers, low, high) / step) * step
    # A step finer than a bin cannot be seen in the bins: there its rounding error is the mean one.
    rounding = step**2 / 12 if step < width else 0.0
    return float((counts * ((stored - centers) ** 2 + rounding)).sum())


METHODS: Mapping[Method, Callable[[StreamingHistogram], Range]] = {
    Method.MINMAX: minmax,
    Method.PERCENTILE: percentile,
    Method.ENTROPY: entropy,
    Method.MSE: mse,
}


def compact_counts(histogram: StreamingHistogram) -> tuple[float, float, tuple[int, ...]]:
    """Return low, high and at most 256 counts in between: whole bins of the histogram put together."""
    held = np.flatnonzero(histogram.counts)
    first, last = int(held[0]), int(held[-1]) + 1
    together = -(-(last - first) // _FINAL_BINS)
    bins = -(-(last - first) // together)
    padded = np.zeros(bins * together, np.int64)
    padded[: last - first] = histogram.counts[first:last]
    low = (first - SIDE_BINS) * histogram.width
    counts = padded.reshape(bins, together).sum(axis=1)
    return low, low + bins * together * histogram.width, tuple(int(count) for count in counts)


def make_table(
    histograms: Mapping[str, StreamingHistogram], method: Method, source: SourceModel, images: ImageSet
) -> CalibrationTable:
    """Return the ranges that ``method`` (not ``auto``) chooses, with what they were measured on."""
    choose = METHODS[method]
    return CalibrationTable(
        model=source.spec.name,
        onnx_digest=source.digest,
        preprocessing_digest=preprocessing_digest(source.spec.input),
        images=tuple(sorted(images.digests)),
        method=method.value,  # type: ignore[arg-type]  # every method but auto
        ranges={name: _range(entry, *choose(entry)) for name, entry in histograms.items()},
    )


def _range(histogram: StreamingHistogram, low: float, high: float) -> TensorRange:
    first, last, counts = compact_counts(histogram)
    return TensorRange(float(np.float32(low)), float(np.float32(high)), Histogram(first, last, counts))
