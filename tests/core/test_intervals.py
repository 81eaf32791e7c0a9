"""Order-statistic intervals: the ranks of published tables, and their coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from ssd_edge.core.intervals import Interval, coverage, median_interval, paired_ratio, verdict


@pytest.mark.parametrize(
    ("count", "rank", "percent"),
    # Conover, Practical Nonparametric Statistics, and any table of the sign test: 95 % intervals of a median.
    [
        (6, 1, 96.88), (8, 1, 99.22), (9, 2, 96.09), (10, 2, 97.85), (15, 4, 96.48), (20, 6, 95.86), (25, 8, 95.67),
        (30, 10, 95.72),
    ],
)  # fmt: skip
def test_ranks_and_coverage_are_those_of_the_tables(count: int, rank: int, percent: float) -> None:
    found = median_interval(list(range(1, count + 1)))
    assert (found.low, found.high) == (rank, count + 1 - rank)
    assert 100 * found.confidence == pytest.approx(percent, abs=0.01)
    assert 100 * coverage(count, rank) == pytest.approx(percent, abs=0.01)


def test_the_median_of_a_skewed_distribution_is_held_as_often_as_is_said() -> None:
    rng = np.random.default_rng(1)
    held = [
        found.holds(float(np.log(2)))
        for row in rng.exponential(size=(4000, 15))
        if (found := median_interval(row.tolist()))
    ]
    assert np.mean(held) == pytest.approx(coverage(15, 4), abs=0.012)  # four standard deviations


def test_few_values_give_what_they_can_and_say_so() -> None:
    assert median_interval([3.0]) == Interval(3.0, 3.0, 3.0, 0.0, 1)
    assert median_interval([5.0, 1.0]) == Interval(3.0, 1.0, 5.0, 0.5, 2)
    found = median_interval([4, 1, 3, 2, 5])
    assert (found.low, found.high, found.confidence) == (1, 5, 0.9375)


def test_the_order_of_values_plays_no_part() -> None:
    values = np.random.default_rng(2).lognormal(size=21)
    assert median_interval(values.tolist()) == median_interval(sorted(values.tolist(), reverse=True))
    assert median_interval(values.tolist()).median == pytest.approx(float(np.median(values)))


def test_more_confidence_takes_a_wider_interval() -> None:
    values = np.random.default_rng(3).normal(size=40).tolist()
    narrow, wide = median_interval(values, 0.5), median_interval(values, 0.999)
    assert wide.low < narrow.low <= narrow.median <= narrow.high < wide.high
    assert wide.half_width > narrow.half_width
    assert narrow.agrees_with(wide)


def test_pairs_cancel_what_both_met() -> None:
    """The machine gets three times as slow half way; the ratio of pairs does not see it, that of medians would."""
    rng = np.random.default_rng(4)
    machine = np.repeat([10.0, 30.0], [10, 11])
    mine, theirs = (machine * factor * rng.lognormal(sigma=0.01, size=21) for factor in (1.05, 1.0))
    found = paired_ratio(mine.tolist(), theirs[::1].tolist())
    assert found.median == pytest.approx(1.05, abs=0.01)
    assert verdict(found) == "slower"
    assert verdict(paired_ratio(theirs.tolist(), mine.tolist())) == "faster"
    assert verdict(paired_ratio(theirs.tolist(), theirs.tolist())) == "same"


def test_pairs_of_different_lengths_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="shorter|longer"):
        paired_ratio([1.0, 2.0], [1.0])


def test_intervals_that_do_not_meet_do_not_agree() -> None:
    first, second = median_interval([1, 2, 3]), median_interval([4, 5, 6])
    assert not first.agrees_with(second)
    assert not second.agrees_with(first)
