"""``doctor --selftest`` as a whole, on the emulated GPU: it builds with TensorRT, runs, compares, and finds leaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tools.emulator.__main__ as emulator
from ssd_edge.cli.app import app
from ssd_edge.doctor.facts import FACTS_FORMAT
from tests.doctor.machines import desktop
from tools.emulator.rehearse import command_line, needs_emulator

KEPT = ("device_blocks", "pinned_blocks", "streams", "events", "graphs", "executables", "primary_uses")
FAULTS = "tests.backends.trt_faults"
ROOT = Path(__file__).parents[2]
PRECISIONS = ["fp32", "fp16", "int8", "int8-fp16"]


def selftest(folder: Path, release: str, *, frames: int = 20, plant: str = "", **env: str) -> tuple[Any, Any, Any]:
    """Return the process, its JSON and the driver's report."""
    report = folder / "report.json"
    done = command_line(
        "doctor", "--selftest", "--frames", str(frames), "--json", "found.json", release=release, cwd=folder,
        env={**env, "SSD_EDGE_EMU_REPORT": str(report)}, plant=plant,
    )  # fmt: skip
    found = folder / "found.json"
    return done, json.loads(found.read_text()) if found.exists() else {}, json.loads(report.read_text())


@pytest.mark.slow(but="10.3")
@needs_emulator
@pytest.mark.parametrize("release", ["8.5", "10.3", "11.4", "rtx"])
def test_every_precision_is_built_run_and_compared(tmp_path: Path, release: str) -> None:
    target = "tensorrt-rtx" if release == "rtx" else "tensorrt"
    done, found, report = selftest(tmp_path, release)
    assert done.returncode == 0, done.stderr
    verdicts = {(verdict["runtime"], verdict["precision"]): verdict for verdict in found["selftest"]}
    assert list(verdicts) == [
        ("onnxruntime", "fp32"), ("onnxruntime", "int8"), *((target, precision) for precision in PRECISIONS),
    ]  # fmt: skip
    for (runtime, precision), verdict in verdicts.items():
        on_gpu = runtime == target
        assert verdict["faults"] == []
        assert verdict["compared"] > 10
        assert verdict["emulated"] == on_gpu
        assert [table["mode"] for table in verdict["stages"]] == (["enqueue", "graph"] if on_gpu else [])
        assert f"{precision} on {runtime}{' (virtual)' if on_gpu else ''}: passed" in done.stderr
    assert report["faults"] == []
    assert {kind: report[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)
    assert report["graph_launches"] > 4 * 20


@pytest.mark.slow
@needs_emulator
def test_nothing_can_be_taken_for_a_device(tmp_path: Path) -> None:
    done, found, _ = selftest(tmp_path, "10.3")
    lines = {line["name"]: line["found"] for line in found["lines"]}
    assert lines["GPU"] == "Emulated: virtual; without a real device it shows nothing about TensorRT"
    assert "It shows nothing about TensorRT" in done.stderr
    page = (tmp_path / "selftest.html").read_text()
    assert "It shows nothing about TensorRT" in page
    assert "tensorrt (virtual)" in page


@pytest.mark.slow
@needs_emulator
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("memory_never_freed", "left on the GPU after the end: 2 x device memory"),
        ("contexts_never_dropped", "execution context"),
        ("memory_for_each_frame", "memory of the GPU grew by 69.0 MiB"),
    ],
)
def test_a_planted_leak_is_named_and_exits_with_1(tmp_path: Path, fault: str, said: str) -> None:
    done, found, _ = selftest(tmp_path, "10.3", frames=120, plant=f"{FAULTS}:{fault}")
    assert done.returncode == 1
    faults = [fault for verdict in found["selftest"] if verdict["emulated"] for fault in verdict["faults"]]
    assert any(said in fault for fault in faults), faults
    assert "the self-test failed" in done.stderr
    assert said in done.stderr
    assert [verdict["faults"] for verdict in found["selftest"] if not verdict["emulated"]] == [[], []]


@pytest.mark.slow
@needs_emulator
def test_memory_that_ends_is_named(tmp_path: Path) -> None:
    done, found, report = selftest(tmp_path, "10.3", SSD_EDGE_EMU_FAIL_ALLOCATION="3")
    assert done.returncode == 1
    assert "memory" in done.stderr
    assert "Traceback" not in done.stderr
    assert {kind: report[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)
    assert [bool(verdict["error"]) for verdict in found["selftest"]] == [False] * 2 + [True] * 4


@pytest.mark.slow
@needs_emulator
def test_a_precision_that_cannot_be_built_is_reported_beside_the_others(tmp_path: Path) -> None:
    done, found, _ = selftest(tmp_path, "10.3", frames=3, plant=f"{FAULTS}:int8_that_cannot_be_built")
    assert done.returncode == 1
    said = "the kernel is not implemented"
    assert f"int8 on tensorrt (virtual): {said}" in done.stderr
    assert f"the self-test failed: got {said}" in done.stderr
    assert {verdict["precision"]: verdict["faults"] for verdict in found["selftest"][2:]} == {
        "fp32": [], "fp16": [], "int8": [said], "int8-fp16": [],
    }  # fmt: skip
    assert said in (tmp_path / "selftest.html").read_text()


@pytest.mark.slow
@needs_emulator
def test_an_orin_has_no_tensorrt_rtx(tmp_path: Path) -> None:
    done, found, _ = selftest(tmp_path, "rtx", SSD_EDGE_EMU_SM="87")
    assert done.returncode == 0, done.stderr
    assert "tensorrt-rtx is installed, and builds for no GPU of compute capability 8.7" in done.stderr
    assert {verdict["runtime"] for verdict in found["selftest"]} == {"onnxruntime", "openvino"}


@pytest.mark.slow
@needs_emulator
def test_the_emulator_rehearses_from_a_machine_without_a_gpu(tmp_path: Path) -> None:
    arguments = ["doctor", "--selftest", "--frames", "3", "--json", "found.json"]
    assert run_emulator("10.16", *arguments, cwd=tmp_path).returncode == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert [verdict["emulated"] for verdict in found["selftest"]] == [False, False, True, True, True, True]
    assert found["facts"]["module tensorrt"]["version"] == "10.16.1.11"
    assert (tmp_path / "selftest.html").is_file()


def run_emulator(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.emulator", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_release_without_a_stand_in_exits_with_1(tmp_path: Path) -> None:
    done = run_emulator("9.0", "doctor", cwd=tmp_path)
    assert done.returncode == 1
    assert "there is no stand-in for TensorRT '9.0': wanted one of 8.5" in done.stderr


def test_the_product_has_no_emulated_gpu() -> None:
    result = CliRunner().invoke(app, ["doctor", "--selftest", "--emulated", "10.3"])
    assert result.exit_code == 2
    assert "No such option" in result.output


def test_a_record_of_a_virtual_gpu_is_reported_as_such(tmp_path: Path) -> None:
    gpu = {**desktop()["gpu"], "name": "ACME Virtual GPU"}
    path = tmp_path / "board.json"
    path.write_text(json.dumps({"format": FACTS_FORMAT, "lines": [], "facts": {**desktop(), "gpu": gpu}}))
    result = CliRunner().invoke(app, ["doctor", "--from", str(path)])
    assert "ACME Virtual GPU: virtual; without a real device" in result.output


def test_arguments_reach_the_command_on_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(emulator, "READY", True)
    monkeypatch.setattr(emulator.os, "execve", lambda program, command, environment: started.append(command[1:]))
    arguments = ["doctor", "a.engine", "--selftest", "--frames", "9", "--json", "-", "--html", "p.html"]
    emulator.main("8.6", *arguments)
    assert started == [arguments]
