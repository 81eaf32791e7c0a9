from __future__ import annotations

from pathlib import Path

import pytest

from bench.host_overhead import SURROUNDINGS, observe
from tools.emulator.rehearse import needs_emulator

FRAMES = 60


@needs_emulator
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_every_frame_goes_through_the_runtime_and_the_engine_does_nothing(tmp_path: Path, name: str) -> None:
    times, report = observe(str(tmp_path), SURROUNDINGS[name], FRAMES)
    assert report["faults"] == []
    assert report["graph_launches"] == FRAMES
    assert 0 < times["p50"] <= times["p95"] <= times["p99"]
    copied_each_frame = report["copies"] >= FRAMES
    assert copied_each_frame == ("memory shared" not in name), report
