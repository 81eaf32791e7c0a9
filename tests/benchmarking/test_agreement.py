from __future__ import annotations

from typing import Any

import pytest

from ssd_edge.benchmarking.agreement import agreement


def found(*rows: tuple[float, float, int]) -> dict[str, Any]:
    """Return squares of 10 pixels at (x, 0), with a score and a class each."""
    return {
        "count": len(rows),
        "boxes": [[x, 0, x + 10, 10] for x, _, _ in rows],
        "scores": [score for _, score, _ in rows],
        "class_ids": [class_id for _, _, class_id in rows],
    }


@pytest.mark.parametrize(
    ("other", "share"),
    [
        ([(0, 0.9, 1), (50, 0.5, 0)], 1.0),
        ([(50, 0.5, 0), (0, 0.9, 1)], 1.0),  # in another order
        ([(0.5, 0.88, 1), (50, 0.5, 0)], 1.0),  # a little beside
        ([(0, 0.9, 0), (50, 0.5, 0)], 0.5),  # another class
        ([(3, 0.9, 1), (50, 0.5, 0)], 0.5),  # too far
        ([(0, 0.8, 1), (50, 0.5, 0)], 0.5),  # another score
        ([(50, 0.5, 0), (90, 0.4, 2)], 0.5),
        ([], 0.0),
    ],
)
def test_share_of_the_reference(other: list[tuple[float, float, int]], share: float) -> None:
    assert agreement([found((0, 0.9, 1), (50, 0.5, 0))], [found(*other)]) == share


def test_where_the_reference_sees_nothing_nothing_is_compared() -> None:
    assert agreement([found(), found()], [found((0, 0.9, 1)), found()]) is None
    assert agreement([found(), found((0, 0.9, 1))], [found((0, 0.9, 1)), found((0, 0.9, 1))]) == 1.0
