from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ssd_edge.cli.app import app
from ssd_edge.doctor.facts import FACTS_FORMAT
from ssd_edge.streaming.sources.camera_rate import CameraRate
from ssd_edge.workflows.diagnose import DiagnoseResult
from ssd_edge.workflows.selftest import SelftestResult
from tests.doctor.machines import bare_cpu, orin_nano

ROOT = Path(__file__).parents[2]


def run(*arguments: object):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


@pytest.fixture
def record(tmp_path: Path):
    def write(answers: dict[str, object]) -> Path:
        path = tmp_path / "machine.json"
        path.write_text(json.dumps({"format": FACTS_FORMAT, "lines": [], "facts": answers}))
        return path

    return write


def test_this_machine_is_examined_and_its_record_judged_alike(tmp_path: Path) -> None:
    first = run("--json", tmp_path / "here.json")
    again = run("--from", tmp_path / "here.json")
    assert first.exit_code in (0, 1)
    assert "machine" in first.stdout
    assert first.stdout == again.stdout


def test_json_on_stdout_alone(record) -> None:
    result = run("--from", record(orin_nano()), "--json", "-")
    fields = json.loads(result.stdout)
    assert fields["format"] == FACTS_FORMAT
    assert {"name": "power mode", "state": "ok", "found": "MAXN_SUPER", "do": ""} in fields["lines"]
    assert fields["facts"]["run nvpmodel -q"].startswith("NV Power Mode")


def test_what_is_missing_exits_1_with_its_command(record) -> None:
    result = run("--from", record(bare_cpu() | {"module onnxruntime": None}))
    assert result.exit_code == 1
    assert "missing ONNX Runtime" in result.stdout
    assert "do: pip install 'onnxruntime>=1.17'" in result.stdout


def test_a_warning_exits_0(record) -> None:
    result = run("--from", record(orin_nano() | {"run nvpmodel -q": "NV Power Mode: 15W\n"}))
    assert result.exit_code == 0
    assert "warn" in result.stdout


def test_a_machine_where_no_package_can_be_imported(tmp_path: Path) -> None:
    for name in ("numpy", "onnx", "torch", "tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings", "pycuda"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is broken')")
    (tmp_path / "cv2.py").write_text("raise ImportError('libgthread-2.0.so.0: cannot open shared object file')")
    (tmp_path / "onnxruntime.py").write_text("raise OSError('libonnxruntime.so: wrong ELF class')")
    command = [sys.executable, str(ROOT / "cli.py"), "doctor", "--json", "here.json"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "cannot be imported: ImportError: libgthread-2.0.so.0" in done.stdout
    assert "apt-get install libgl1 libglib2.0-0" in done.stdout
    assert "cannot be imported: OSError: libonnxruntime.so: wrong ELF class" in done.stdout
    lines = {line["name"]: line["state"] for line in json.loads((tmp_path / "here.json").read_text())["lines"]}
    assert [name for name, state in lines.items() if state == "missing"] == [
        "TensorRT", "ONNX Runtime", "OpenVINO", "OpenCV", "PyTorch",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "ssd-edge/eval/1"}'])
def test_a_file_that_is_no_record(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    result = run("--from", path)
    assert result.exit_code == 1
    assert f"{path} is not a report of a machine" in result.output


@pytest.mark.parametrize(
    "facts",
    [
        {},
        [],
        {"python": 3},
        bare_cpu() | {"gpu": {"name": "Orin"}},
        bare_cpu() | {"module cv2": "5.0.0"},
        bare_cpu() | {"glob /dev/video*": 7},
    ],
)
def test_a_record_that_was_edited(tmp_path: Path, facts: object) -> None:
    path = tmp_path / "edited.json"
    path.write_text(json.dumps({"format": FACTS_FORMAT, "facts": facts}))
    result = run("--from", path)
    assert result.exit_code == 1
    assert "is not a complete report of a machine: got " in result.output


def test_the_selftest_is_of_this_machine(record) -> None:
    result = run("--selftest", "--from", record(orin_nano()))
    assert result.exit_code == 1
    assert "--from describes another one: wanted only one of the two options" in result.output


def test_a_record_that_is_not_there(tmp_path: Path) -> None:
    result = run("--from", tmp_path / "none.json")
    assert result.exit_code == 1
    assert "No such file" in result.output


def test_the_selftest_tells_the_rate_of_a_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rate = CameraRate(30.0, 24.0, 2.0, (640, 480))
    monkeypatch.chdir(tmp_path)

    def tested(*_: object, machine: DiagnoseResult, camera: int, **__: object) -> SelftestResult:
        return SelftestResult(tmp_path / "selftest.html", (), machine, camera=rate if camera == 1 else None)

    monkeypatch.setattr("ssd_edge.workflows.selftest.selftest", tested)
    said = " ".join(run("--selftest", "--camera", "1").stderr.split())
    assert f"camera: {rate}" in said
    assert "attach it to a bug report" in said
    assert "camera: " not in run("--selftest", "--camera", "2").stderr
