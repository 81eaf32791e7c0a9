"""Each finding about what a device would do has a rehearsal: the stand-in does what the real thing does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.emulator.rehearse import needs_emulator, rehearse
from tools.emulator.standin.releases import RELEASES

pytestmark = needs_emulator
HERE = "tests.emulator.findings"


@pytest.mark.slow(but="11.4")
@pytest.mark.parametrize("release", RELEASES)
def test_every_release_runs_as_a_cuda_graph(tmp_path: Path, release: str) -> None:
    result, report = rehearse(f"{HERE}:build_and_detect", release, folder=str(tmp_path), in_release=release)
    assert result["same"]
    assert result["found"] > 0
    assert result["nms"] == ("16 rounds" if release in ("11.4", "rtx") else "plugin")
    assert not [line for line in result["lines"] if "no CUDA graph" in line]
    assert report["graph_launches"] >= 5
    assert report["faults"] == []


@pytest.mark.parametrize("release", ["11.4", "rtx"])
def test_a_loop_is_not_captured_and_its_engine_runs_without_a_graph(tmp_path: Path, release: str) -> None:
    result, report = rehearse(f"{HERE}:build_and_detect", release, folder=str(tmp_path), in_release=release, nms="loop")
    assert result["same"]
    assert [line for line in result["lines"] if "no CUDA graph for batches of 1" in line]
    assert report["graph_launches"] == 0
    assert report["faults"] == []


@pytest.mark.slow(but="10.3")
@pytest.mark.parametrize("release", [release for release in RELEASES if release != "rtx"])
def test_efficient_nms_fulfils_the_graph_contract(tmp_path: Path, release: str) -> None:
    result, report = rehearse(
        f"{HERE}:build_and_detect", release, folder=str(tmp_path), in_release=release, nms="efficient"
    )
    assert result["same"]  # nothing of the drawn squares lies on a threshold
    assert result["nms"] == "efficient"
    assert report["graph_launches"] >= 5
    assert report["faults"] == []
