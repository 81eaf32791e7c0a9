"""build, run, eval and inspect with TensorRT as a user types them: emulated GPU, stand-ins of all releases."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import pytest

from ssd_edge.backends.tensorrt.layers import layers_path
from ssd_edge.core.sample import LabelledObject
from ssd_edge.data.writers import VocWriter
from ssd_edge.doctor.sample_model import COLORS, SIDE, sample_frames
from tests.quantization.square_model import write_square_model
from tools.emulator.rehearse import command_line, needs_emulator
from tools.emulator.standin.plan import unpack
from tools.emulator.standin.releases import RELEASES

pytestmark = needs_emulator
KEPT = ("device_blocks", "pinned_blocks", "streams", "events", "graphs", "executables", "primary_uses")


class Workspace:
    """A workspace with the detector of squares and labelled images, on a machine with a release of TensorRT."""

    def __init__(self, folder: Path, release: str, **env: str) -> None:
        self.folder, self.release, self.env = folder, release, env
        self.target = "tensorrt-rtx" if release == "rtx" else "tensorrt"
        write_square_model(folder / "engines/squares/squares.onnx")
        writer = VocWriter(folder / "data", COLORS)
        for number, frame in enumerate(sample_frames(12, seed=5)):
            path = writer.image_path("test", f"{number:02}")
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), frame.image, [cv2.IMWRITE_JPEG_QUALITY, 100])
            objects = zip(frame.class_ids, frame.boxes.tolist(), strict=True)
            found = [LabelledObject.of_box(COLORS[number], tuple(map(int, box))) for number, box in objects]
            writer.add("test", path, (SIDE, SIDE), found)
        writer.close()

    def run(self, *arguments: str, code: int = 0) -> Any:
        report = self.folder / "report.json"
        report.unlink(missing_ok=True)
        env = {**self.env, "SSD_EDGE_EMU_REPORT": str(report)}
        done = command_line(*arguments, release=self.release, env=env, cwd=self.folder)
        assert done.returncode == code, done.stderr
        self.graph_launches = 0
        if report.is_file():  # the driver was asked
            found = json.loads(report.read_text())
            assert found["faults"] == []
            assert {kind: found[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)
            self.graph_launches = found["graph_launches"]
        return done

    def engine(self, precision: str) -> str:
        return f"engines/squares/squares.{precision}.{self.target}.engine"

    def detections(self, model: str) -> list[Any]:
        done = self.run("run", "data/JPEGImages", "--model", model, "--json", "-", "--no-window")
        return [json.loads(line)["detections"] for line in done.stdout.splitlines()]


@pytest.mark.slow(but="10.3")
@pytest.mark.parametrize("release", ["8.5", "10.3", "11.4", "rtx"])
def test_an_onnx_becomes_engines_that_detect_and_are_judged(tmp_path: Path, release: str) -> None:
    workspace = Workspace(tmp_path, release)
    asked = ["--target", "tensorrt-rtx"] if release == "rtx" else []
    done = workspace.run("build", *asked)
    assert f"built {workspace.engine('fp32')}: fp32 for {workspace.target}" in done.stderr
    assert "already built" in workspace.run("build", *asked).stderr
    workspace.run("build", "--int8", "--fp16", "--images", "data/JPEGImages", *asked)
    by_onnx_runtime = workspace.detections("engines/squares/squares.onnx")
    assert workspace.graph_launches == 0
    assert workspace.detections(workspace.engine("fp32")) == by_onnx_runtime
    assert workspace.graph_launches == 12 + 1  # with the warm-up
    assert sum(map(len, by_onnx_runtime)) > 12
    judged = workspace.run(
        "eval", "engines/squares/squares.onnx", workspace.engine("fp32"), workspace.engine("int8-fp16"), "data",
        "--json", "-",
    )  # fmt: skip
    onnx, fp32, int8 = (model["map"] for model in json.loads(judged.stdout)["models"])
    assert onnx == fp32 > 0.95
    assert int8 > 0.9
    assert f"{workspace.target}" in workspace.run("inspect", workspace.engine("fp32")).stdout


@pytest.mark.slow
@pytest.mark.parametrize("release", ["8.6", "10.3"])
def test_a_deep_learning_accelerator_is_built_for(tmp_path: Path, release: str) -> None:
    workspace = Workspace(tmp_path, release, SSD_EDGE_STANDIN_DLA_CORES="2")
    workspace.run("build", "--fp16", "--dla", "1")
    workspace.run("build", "--int8", "--images", "data/JPEGImages", "--dla", "0")
    plans = [unpack((tmp_path / workspace.engine(precision)).read_bytes())[0] for precision in ("fp16", "int8")]
    assert [plan.dla for plan in plans] == [1, 0]
    for precision in ("fp16", "int8"):  # each on its own core
        assert sum(map(len, workspace.detections(workspace.engine(precision)))) > 12
    done = workspace.run("build", "--fp16", "--dla", "2", "--force", code=1)
    assert "there is no DLA core 2: got 2 cores" in " ".join(done.stderr.split())


@pytest.mark.slow
@pytest.mark.parametrize("release", ["8.6", "10.3"])
def test_cuda_that_tensorrt_cannot_have_is_said_with_what_helps(tmp_path: Path, release: str) -> None:
    Workspace(tmp_path, release).run("build")
    workspace = Workspace(tmp_path, release, SSD_EDGE_STANDIN_CUDA_PROBLEM="35")
    engine = workspace.engine("fp32")
    layers_path(tmp_path / engine).unlink()  # so that `inspect` asks TensorRT
    run = ("run", "data/JPEGImages", "--model", engine, "--no-window")
    for command, code in ((("build", "--force"), 1), (run, 1), (("inspect", engine), 0)):
        done = workspace.run(*command, code=code)
        said = " ".join((done.stdout + done.stderr).split())
        assert (
            f"{workspace.target} {RELEASES[release]} cannot start: got CUDA initialization failure with error: 35"
            in said
        )
        assert "see: ssd-edge doctor" in said


def test_an_engine_of_another_release_is_refused_with_the_command(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "10.3")
    workspace.run("build")
    workspace.release = "10.16"
    done = workspace.run("run", "data/JPEGImages", "--model", workspace.engine("fp32"), "--no-window", code=1)
    said = " ".join(done.stderr.split())
    assert "got tensorrt 10.3.0 on Emulated sm_87; wanted tensorrt 10.16.1.11 on Emulated sm_87" in said
    assert "Build the engine again on this machine: ssd-edge build engines/squares/squares.onnx" in said


@pytest.mark.slow
def test_a_version_compatible_engine_runs_on_a_later_release(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "10.3")
    workspace.run("build", "--version-compatible")
    for later in ("10.16", "11.4"):  # 11 has no plugin for NMS
        workspace.release = later
        assert sum(map(len, workspace.detections(workspace.engine("fp32")))) > 12
        shown = workspace.run("inspect", workspace.engine("fp32")).stdout
        assert re.search(r"tensorrt 10\.3\.0 and later, .*on Emulated sm_87", " ".join(shown.split()))
        assert "runs here yes" in " ".join(shown.split())
    workspace.release = "8.6"  # an earlier one cannot
    done = workspace.run("run", "data/JPEGImages", "--model", workspace.engine("fp32"), "--no-window", code=1)
    assert "The engine plan file is not compatible with this version of TensorRT" in " ".join(done.stderr.split())


def test_memory_that_ends_while_an_engine_is_built(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "10.3")
    report = tmp_path / "report.json"
    env = {"SSD_EDGE_EMU_REPORT": str(report), "SSD_EDGE_EMU_FAIL_ALLOCATION": "0"}
    done = command_line("build", env=env, cwd=workspace.folder)
    assert done.returncode == 1
    assert "out of memory" in done.stderr
    assert "lower --builder-memory" in done.stderr
    assert list((tmp_path / "engines").rglob("*.engine")) == []
    assert json.loads(report.read_text())["primary_uses"] == 0
