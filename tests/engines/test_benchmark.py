"""Times of engines by a stand-in detector, which notes its calls."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from ssd_edge.engines import benchmark


class Detector:
    def __init__(self, name: str, calls: list[str]) -> None:
        self.name, self.calls = name, calls

    def detect_batch(self, images: Sequence[object]) -> None:
        self.calls.append(self.name)


@pytest.mark.parametrize(("seconds", "rounds"), [(2.0, 100), (0.0, 7)])
def test_quick_engines_have_many_rounds_and_slow_ones_some(
    monkeypatch: pytest.MonkeyPatch, seconds: float, rounds: int
) -> None:
    """Of 25 calls of 2 ms one neighbor decides: the choice of a runtime is kept for good."""
    calls: list[str] = []
    monkeypatch.setattr(benchmark, "_SECONDS", seconds)
    monkeypatch.setattr(benchmark, "open_detector", lambda path: nullcontext(Detector(path.name, calls)))
    assert len(benchmark.median_times([Path("a"), Path("b")])) == 2
    assert calls[2:] == ["a", "a", "b", "b"] * rounds, "an untimed call of its own before each timed one"
