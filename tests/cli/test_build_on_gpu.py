"""What ``build`` and ``inspect`` say of TensorRT's engines where they run: emulated GPU, stand-ins of all releases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.engines.build_log import log_path
from tests.cli.test_chain_on_gpu import Workspace
from tools.emulator.rehearse import needs_emulator

pytestmark = needs_emulator
INT8 = ("--int8", "--images", "data/JPEGImages")


def asked(release: str) -> list[str]:
    return ["--target", "tensorrt-rtx"] if release == "rtx" else []


def chosen(release: str) -> str:
    """What --int8 means there: 8.x chooses types by flags."""
    return "int8" if release.startswith("8.") else "int8-fp16"


def manifest(workspace: Workspace, precision: str) -> dict[str, object]:
    return json.loads((workspace.folder / workspace.engine(precision)).with_suffix(".json").read_text())


@pytest.mark.slow(but="10.3")
@pytest.mark.parametrize("release", ["8.6", "10.3", "11.4", "rtx"])
def test_compare_builds_times_and_advises(tmp_path: Path, release: str) -> None:
    workspace = Workspace(tmp_path, release)
    first = workspace.run("build", *INT8, "--compare", *asked(release)).stderr
    every = ("fp32", "fp16", "int8", "int8-fp16")
    for precision in every:
        assert f"built {workspace.engine(precision)}: {precision} for {workspace.target}" in first
    mine = chosen(release)
    measured = manifest(workspace, mine)["times_ms"]
    assert set(measured) == set(every)
    fastest = min(measured, key=measured.get)
    if fastest == mine:
        assert f"{mine} is the fastest here: " in first
    else:
        assert f"{mine} is SLOWER here: " in first or f"{mine} is not the fastest here: " in first
        assert f"Use {fastest}: ssd-edge run --model {workspace.engine(fastest)}" in first
    again = workspace.run("build", "--int8", "--compare", *asked(release)).stderr
    assert f"times as measured earlier: {mine} is" in again
    assert "to compare with" not in again
    assert workspace.graph_launches == 0  # nothing ran


def test_a_new_engine_is_timed_beside_those_that_lie_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "10.3")
    alone = workspace.run("build", *INT8).stderr
    assert "to compare the speed of int8-fp16 here: --compare" in alone
    assert "precision int8-fp16: layers that are not INT8 compute in FP16 (with --fp32, in FP32)" in alone
    workspace.run("build", "--fp16")
    assert set(manifest(workspace, "fp16")["times_ms"]) == {"fp16", "int8-fp16"}


def test_int8_with_float32_is_asked_for_by_its_name(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "11.4")
    said = workspace.run("build", *INT8, "--fp32").stderr
    assert f"built {workspace.engine('int8')}: int8 for tensorrt" in said
    refused = workspace.run("build", *INT8, "--fp32", "--fp16", code=1).stderr
    assert "--fp16 and --fp32 cannot be combined" in refused


@pytest.mark.parametrize("release", ["8.6", "10.3"])
def test_a_layer_without_an_int8_kernel_is_built_in_float(tmp_path: Path, release: str) -> None:
    workspace = Workspace(tmp_path, release, SSD_EDGE_STANDIN_NO_INT8_KERNEL="conv2")
    said = " ".join(workspace.run("build", *INT8).stderr.split())
    assert "building again with conv2 in FP32 or FP16" in said
    assert manifest(workspace, chosen(release))["options"]["keep_float"] == ["conv2"]


@pytest.mark.slow
def test_an_engine_that_takes_no_single_picture_is_not_recommended(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "10.3")
    assert f"next: ssd-edge run --model {workspace.engine('fp32')}" in workspace.run("build").stderr
    said = workspace.run("build", "--fp16", "--batch", "4").stderr
    assert "the engine takes at least 4 images" in said
    assert "next: ssd-edge run" in said
    run = ["run", "data/JPEGImages", "--no-window", "--json", "found.jsonl"]
    assert f"using {workspace.engine('fp32')}" in workspace.run(*run).stderr  # though the other is newer
    workspace.run(*run, "--model", workspace.engine("fp16"))  # by name it serves: its batch is filled up


@pytest.mark.slow
def test_an_engine_for_other_batches_is_left_as_it_is(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "10.3")
    workspace.run("build", "--batch", "4")
    float32 = (workspace.folder / workspace.engine("fp32")).read_bytes()
    said = workspace.run("build", *INT8, "--batch", "2:2:4", "--compare").stderr
    assert (workspace.folder / workspace.engine("fp32")).read_bytes() == float32
    timed = set(manifest(workspace, "int8-fp16")["times_ms"])
    assert timed == {"int8-fp16", "int8", "fp16"}  # two images at a time
    assert "building fp16 for comparison" in said


@pytest.mark.slow
@pytest.mark.parametrize("release", ["8.6", "10.3", "11.4", "rtx"])
def test_inspect_asks_tensorrt_what_each_layer_computes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    workspace = Workspace(tmp_path, release)
    workspace.run("build", *INT8, "--fp32", "--keep-float", "conv2", *asked(release))
    cache = (workspace.folder / workspace.engine("int8")).with_suffix(".cache")
    cache.unlink(missing_ok=True)
    shown = workspace.run("inspect", workspace.engine("int8")).stdout
    assert "fp32 layers 1, int8 layers 4, unknown layers" in shown
    assert "each layer, as TensorRT reports it\n" in shown
    assert "  fp32    Stand-in         conv2\n" in shown
    assert "  int8    Stand-in         conv3\n" in shown
    assert f"{workspace.target} " in next(line for line in shown.splitlines() if line.startswith("runs on"))
    assert "runs here yes" in " ".join(shown.split())
    assert not cache.exists()  # it was looked at, and nothing was written
    # And on a machine that cannot open it, what TensorRT said when it was built.
    monkeypatch.chdir(tmp_path)
    elsewhere = CliRunner().invoke(app, ["inspect", workspace.engine("int8")]).stdout
    assert "fp32 layers 1, int8 layers 4, unknown layers" in elsewhere
    assert "each layer, as TensorRT reports it, when it was built\n" in elsewhere


@pytest.mark.slow
def test_a_timing_cache_of_another_release_is_said_and_replaced(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "10.3")
    said = "engines/timing.cache was measured by another release or on another GPU: kernels are timed anew"
    assert said not in workspace.run("build").stderr
    first = (tmp_path / "engines/timing.cache").read_bytes()
    assert said not in workspace.run("build", "--force").stderr
    workspace.release = "10.16"
    assert said in workspace.run("build", "--force").stderr
    assert (tmp_path / "engines/timing.cache").read_bytes() != first
    assert said not in workspace.run("build", "--force").stderr


def test_int8_of_a_dla_is_compared_with_its_half_precision(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "10.3", SSD_EDGE_STANDIN_DLA_CORES="2")
    said = workspace.run("build", *INT8, "--dla", "0", "--compare").stderr
    assert "building fp16 for comparison" in said
    assert "building fp32 for comparison" not in said  # a DLA has none
    assert set(manifest(workspace, "int8")["times_ms"]) == {"int8", "fp16"}


@pytest.mark.slow
def test_what_tensorrt_said_of_a_build_lies_beside_its_engine(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "10.3", SSD_EDGE_STANDIN_DLA_CORES="2")
    said = " ".join(workspace.run("build", "--fp16", "--dla", "0").stderr.split())
    log = log_path(tmp_path / workspace.engine("fp16"))
    first, *lines = log.read_text().splitlines()
    assert first == "tensorrt 10.3.0 on Emulated sm_87, building squares.fp16.tensorrt.engine"
    cast = "Layer 'pixels' (CAST): Unsupported on DLA. Switching this layer's device type to GPU."
    assert f"warning: {cast}" in lines
    assert f"TensorRT gave {len(lines)} warnings: engines/squares/{log.name}" in said
    assert f"tensorrt: {cast}" in said
    assert "of these layers, 5 run on the DLA, each a whole part of the graph, and " in said
    text = log.read_text()
    assert "TensorRT gave" not in workspace.run("build", "--fp16", "--dla", "0").stderr
    assert log.read_text() == text  # nothing was built
    assert "TensorRT gave" not in workspace.run("build", "--fp16").stderr
    assert not log.exists()


def test_what_tensorrt_said_of_a_build_that_failed_is_kept_too(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "10.3", SSD_EDGE_EMU_FAIL_ALLOCATION="0")
    said = " ".join(workspace.run("build", code=1).stderr.split())
    log = log_path(tmp_path / workspace.engine("fp32"))
    assert "error: Requested amount of GPU memory could not be allocated" in log.read_text()
    assert f"TensorRT gave 1 error: engines/squares/{log.name}" in said


@pytest.mark.parametrize("release", ["8.6", "10.3"])
def test_float32_that_cannot_be_promised_is_refused(tmp_path: Path, release: str) -> None:
    """8.x takes FP16 for any layer once it is allowed."""
    workspace = Workspace(tmp_path, release)
    said = workspace.run("build", "--fp16", "--keep-float", "conv2", code=int(release == "8.6")).stderr
    assert ("chooses the FP16 layers itself: wanted " in said) == (release == "8.6")
