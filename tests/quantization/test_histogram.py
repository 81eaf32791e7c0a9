"""The streaming histogram against numpy's, whatever order and portions the values come in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_edge.core.errors import ArtifactError
from ssd_edge.quantization.range_estimators import SIDE_BINS, StreamingHistogram


def of(*portions: np.ndarray) -> StreamingHistogram:
    histogram = StreamingHistogram()
    for portion in portions:
        histogram.add(np.asarray(portion, np.float32))
    return histogram


def expected(values: np.ndarray, width: float) -> np.ndarray:
    bins = np.floor(values.astype(np.float64) / width).astype(int) + SIDE_BINS
    return np.bincount(bins, minlength=2 * SIDE_BINS)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), portions=st.integers(1, 6), scale=st.floats(1e-6, 1e6))
def test_order_and_portions_do_not_matter(seed, portions, scale) -> None:
    generator = np.random.default_rng(seed)
    values = (generator.standard_cauchy(size=500) * scale).astype(np.float32)
    one = of(values)
    parts = of(*np.array_split(generator.permutation(values), portions))
    assert (one.counts == parts.counts).all()
    assert (one.exponent, one.low, one.high) == (parts.exponent, parts.low, parts.high)
    assert (one.counts == expected(values, one.width)).all()


def test_extremes_are_exact_and_nothing_is_lost() -> None:
    values = np.array([-3.7, 0, 0, 1e-9, 2.5], np.float32)
    histogram = of(values)
    assert (histogram.low, histogram.high) == (values.min(), values.max())
    assert histogram.counts.sum() == 5


def test_zeros_before_anything_else() -> None:
    histogram = of(np.zeros(7), np.array([5.0, 0.0]))
    assert histogram.counts[SIDE_BINS] == 8
    assert histogram.counts.sum() == 9


def test_largest_value_lies_inside() -> None:
    for value in (1.0, 2.0, 4096.0, 0.75, -2.0, -1.0):
        assert of(np.array([value])).counts.sum() == 1


def test_state_survives() -> None:
    histogram = of(np.arange(-5, 9, 0.1))
    again = StreamingHistogram.restored(histogram.state())
    assert again.state() | {"counts": 0} == histogram.state() | {"counts": 0}
    assert (again.counts == histogram.counts).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(value) -> None:
    with pytest.raises(ArtifactError, match="conv_7 is not finite"):
        StreamingHistogram().add(np.array([1, value], np.float32), name="conv_7")


@pytest.mark.parametrize(
    "change",
    [
        {"counts": np.zeros(8192, np.int64)},
        {"counts": np.full(8192, -1)},
        {"counts": np.ones(5, np.int64)},
        {"counts": np.ones(8192)},
        {"exponent": 1.5},
        {"low": np.nan},
        {"high": np.inf},
        {"low": 9.5},
    ],
)
def test_a_state_that_counts_nothing_or_the_impossible_is_none(change: dict[str, object]) -> None:
    state = of(np.arange(-5, 9, 0.1)).state()
    with pytest.raises(ValueError, match="histogram"):
        StreamingHistogram.restored(state | change)
