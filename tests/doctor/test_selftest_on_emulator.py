"""``doctor --selftest`` as a whole, on the emulated GPU: it builds with TensorRT, runs, compares, and finds leaks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import ssd_edge.cli.emulated as emulated
from ssd_edge.cli.app import app
from tools.emulator.rehearse import command_line, needs_emulator
from tools.emulator.standin.releases import RELEASES

KEPT = ("device_blocks", "pinned_blocks", "streams", "events", "graphs", "executables", "primary_uses")
FAULTS = "tests.backends.trt_faults"
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


@needs_emulator
@pytest.mark.parametrize("release", RELEASES)
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
        assert f"{precision} on {runtime}{' (emulated)' if on_gpu else ''}: as it should be" in done.stderr
    assert report["faults"] == []
    assert {kind: report[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)
    assert report["graph_launches"] > 4 * 20


@needs_emulator
def test_nothing_can_be_taken_for_a_device(tmp_path: Path) -> None:
    done, found, _ = selftest(tmp_path, "10.3")
    lines = {line["name"]: line["found"] for line in found["lines"]}
    assert lines["GPU"] == "emulated, and TensorRT with it: no device is here"
    assert "Nothing is proved of TensorRT" in done.stderr
    page = (tmp_path / "selftest.html").read_text()
    assert "Nothing is proved of TensorRT" in page
    assert "tensorrt (emulated)" in page


@needs_emulator
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("memory_never_freed", "left on the GPU after the end: 2 x device memory"),
        ("pinned_memory_never_freed", "left on the GPU after the end: 2 x pinned memory"),
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


@needs_emulator
def test_memory_that_ends_is_named(tmp_path: Path) -> None:
    done, found, report = selftest(tmp_path, "10.3", SSD_EDGE_EMU_FAIL_ALLOCATION="3")
    assert done.returncode == 1
    assert "memory" in done.stderr
    assert "Traceback" not in done.stderr
    assert {kind: report[kind] for kind in KEPT} == dict.fromkeys(KEPT, 0)
    assert [bool(verdict["error"]) for verdict in found["selftest"]] == [False] * 2 + [True] * 4


@needs_emulator
def test_a_precision_that_cannot_be_built_is_reported_beside_the_others(tmp_path: Path) -> None:
    done, found, _ = selftest(tmp_path, "10.3", frames=3, plant=f"{FAULTS}:int8_that_cannot_be_built")
    assert done.returncode == 1
    said = "the kernel is not implemented"
    assert f"int8 on tensorrt (emulated): {said}" in done.stderr
    assert f"the self-test failed: got {said}" in done.stderr
    assert {verdict["precision"]: verdict["faults"] for verdict in found["selftest"][2:]} == {
        "fp32": [], "fp16": [], "int8": [said], "int8-fp16": [],
    }  # fmt: skip
    assert said in (tmp_path / "selftest.html").read_text()


@needs_emulator
def test_an_orin_has_no_tensorrt_rtx(tmp_path: Path) -> None:
    done, found, _ = selftest(tmp_path, "rtx", SSD_EDGE_EMU_SM="87")
    assert done.returncode == 0, done.stderr
    assert "tensorrt-rtx is installed, and builds for no GPU of compute capability 8.7" in done.stderr
    assert {verdict["runtime"] for verdict in found["selftest"]} == {"onnxruntime"}


@needs_emulator
def test_the_option_rehearses_from_a_machine_without_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["doctor", "--selftest", "--frames", "3", "--emulated", "10.16", "--json", "found.json"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    found = json.loads(Path("found.json").read_text())
    assert [verdict["emulated"] for verdict in found["selftest"]] == [False, False, True, True, True, True]
    assert found["facts"]["module tensorrt"]["version"] == "10.16.1.11"
    assert Path("selftest.html").is_file()


def test_a_release_without_a_stand_in_exits_with_1() -> None:
    result = CliRunner().invoke(app, ["doctor", "--emulated", "9.0"])
    assert result.exit_code == 1


def test_the_installed_package_has_no_emulated_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated, "_EMULATOR", tmp_path / "none")
    result = CliRunner().invoke(app, ["doctor", "--selftest", "--emulated", "10.3"])
    assert result.exit_code == 1
    assert "the emulated GPU does not come with the installed package: wanted a clone of ssd-edge" in result.stderr
    assert emulated.rehearsal_hint() == ""


def test_emulated_and_from_are_two_machines(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--emulated", "10.3", "--from", str(tmp_path / "board.json")])
    assert result.exit_code == 1
    assert "--emulated and --from are two machines" in result.stderr


def test_arguments_reach_the_emulated_command(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        started.append(command[2:])
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setattr(emulated.subprocess, "run", run)
    arguments = [
        "doctor",
        "a.engine",
        "--selftest",
        "--frames",
        "9",
        "--json",
        "-",
        "--page",
        "p.html",
        "--images",
        "i",
    ]
    assert CliRunner().invoke(app, [*arguments, "--emulated", "8.6"]).exit_code == 7
    passed_on = ["--selftest", "--frames", "9", "--page", "p.html", "--json", "-", "--images", "i"]
    assert started == [["8.6", "doctor", "a.engine", *passed_on]]
