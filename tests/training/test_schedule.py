from __future__ import annotations

import math

import pytest

from ssd_edge.training.schedule import learning_rate_factor


def test_the_rate_warms_up_linearly() -> None:
    factors = [learning_rate_factor(p, schedule="cosine", warmup_share=0.1) for p in (0.0, 0.025, 0.05, 0.1)]
    assert factors == pytest.approx([0.0, 0.25, 0.5, 1.0])


def test_the_cosine_falls_to_a_hundredth() -> None:
    factors = [learning_rate_factor(p, schedule="cosine", warmup_share=0.2) for p in (0.2, 0.4, 0.6, 1.0)]
    wanted = [0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2 for share in (0, 0.25, 0.5, 1)]
    assert factors == pytest.approx(wanted)
    assert factors[-1] == pytest.approx(0.01)


def test_the_steps_are_those_of_the_paper() -> None:
    iterations = (0, 79_999, 80_000, 99_999, 100_000, 120_000)
    factors = [learning_rate_factor(i / 120_000, schedule="steps", warmup_share=0) for i in iterations]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
