from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_edge.streaming.tracking.assignment import assign


def best_total(weights: np.ndarray) -> float:
    """The greatest total, by dynamic programming over the sets of columns that are taken."""
    rows, columns = weights.shape

    @cache
    def best(row: int, taken: int) -> float:
        if row == rows:
            return 0.0
        free = [column for column in range(columns) if not taken >> column & 1]
        return max([best(row + 1, taken), *(float(weights[row, c]) + best(row + 1, taken | 1 << c) for c in free)])

    return best(0, 0)


def check(weights: np.ndarray) -> None:
    rows, columns = assign(weights)
    assert len(set(rows.tolist())) == len(rows) == len(columns) == len(set(columns.tolist()))
    assert rows.tolist() == sorted(rows.tolist())
    assert (weights[rows, columns] > 0).all()
    assert weights[rows, columns].sum() == pytest.approx(best_total(weights))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 7), st.integers(0, 7), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.7, 0.95]))
def test_no_other_assignment_has_a_greater_total(rows: int, columns: int, seed: int, absent: float) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.random((rows, columns)) * (rng.random((rows, columns)) >= absent)
    check(weights)
    check(np.round(4 * weights) / 4)  # with ties


def test_a_greedy_choice_would_be_worse() -> None:
    weights = np.array([[0.9, 0.8], [0.85, 0.0]])
    rows, columns = assign(weights)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_one_good_pair_is_worth_more_than_two_poor_ones() -> None:
    rows, columns = assign(np.array([[0.9, 0.25], [0.3, 0.0]]))
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 0)]


def test_a_pair_without_weight_is_never_assigned() -> None:
    for shape in ((3, 2), (2, 3), (0, 4), (4, 0)):
        rows, columns = assign(np.zeros(shape))
        assert rows.size == columns.size == 0


def test_the_total_is_that_of_scipy() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    for size in (1, 5, 20, 60):
        for absent in (0.0, 0.5, 0.9):
            weights = rng.random((size, size + 3)) * (rng.random((size, size + 3)) >= absent)
            for each in (weights, weights.T):
                rows, columns = assign(each)
                expected = each[optimize.linear_sum_assignment(each, maximize=True)].sum()
                assert each[rows, columns].sum() == pytest.approx(expected)
