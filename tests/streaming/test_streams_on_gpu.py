"""Eight streams on the emulated GPU: batched, with an engine swapped in their midst, and with a device that is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.streaming.streams_on_gpu import FRAMES, STREAMS
from tools.emulator.rehearse import needs_emulator, rehearse

pytestmark = needs_emulator
KEPT = ("device_blocks", "pinned_blocks", "streams", "events", "graphs", "executables", "primary_uses")
HERE = "tests.streaming.streams_on_gpu"


@pytest.mark.slow(but="10.3")
@pytest.mark.parametrize("release", ["10.3", "8.6"])
def test_eight_streams_share_an_engine_that_is_swapped(tmp_path: Path, release: str) -> None:
    (tmp_path / "new").mkdir()
    found, report = rehearse(f"{HERE}:eight_streams", release, folder=str(tmp_path), in_release=release)
    assert found["same"]
    assert found["largest"] == 4  # the engine's own limit
    assert found["swapped"] == [True]
    assert "/new/" in found["after"]
    assert report["faults"] == []
    assert {kind: report[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)


@pytest.mark.slow
@pytest.mark.parametrize("release", ["10.3", "8.6"])
def test_a_device_that_is_lost_ends_all_streams_with_an_error(tmp_path: Path, release: str) -> None:
    found, report = rehearse(f"{HERE}:lost_device", release, folder=str(tmp_path), in_release=release)
    assert found["error"].startswith("DeviceError: ")
    assert found["same"]
    assert 5 <= found["counts"][0] <= FRAMES
    assert sum(found["counts"]) < STREAMS * FRAMES
    assert found["took"] < 10
    assert {kind: report[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)
