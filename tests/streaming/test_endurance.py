"""Short forms of ``python -m tests.streaming.endurance`` and ``python -m tests.streaming.soak``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.streaming.endurance import disk, kills
from tests.streaming.sinks.test_video_sink import NEEDS_AV
from tests.streaming.soak import Sample, judge, soak

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc, mounts a tmpfs")]


@NEEDS_AV
def test_a_run_that_is_killed_leaves_whole_lines_and_a_video_that_plays(tmp_path: Path) -> None:
    assert kills(tmp_path, 2, seed=1) == []


@NEEDS_AV
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_fills_up_leaves_whole_files(tmp_path: Path) -> None:
    try:
        found = disk(tmp_path)
    except PermissionError:
        pytest.skip("no tmpfs can be mounted here")
    assert found == []


def test_a_run_of_four_sources_with_all_outputs_writes_every_line_and_leaks_nothing() -> None:
    faults = soak(6000, 1500)
    assert [fault for fault in faults if not fault.startswith(("memory", "only"))] == []  # memory needs a longer run


def test_what_grows_is_found() -> None:
    steady = [Sample(number, 100_000, 20, 10) for number in range(100)]
    assert judge(steady) == []
    assert judge([Sample(one.frames, one.memory_kb + 20 * one.frames, 20, 10) for one in steady]) == [
        "memory has grown by 1.80%"
    ]
    assert judge([Sample(one.frames, 100_000, 20 + one.frames // 50, 10) for one in steady]) == [
        "descriptors: 21 after 20"
    ]
    assert judge(steady[:3]) == ["only 3 samples: more frames are needed"]
