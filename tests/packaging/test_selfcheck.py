"""The script that travels with a package: what it compares, and that it runs without ssd-edge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ssd_edge.packaging.selfcheck import differences, rows_of

ROW = (1.0, 0.8, 0.1, 0.2, 0.3, 0.4)


def test_the_same_rows_do_not_differ_in_any_order() -> None:
    other = (0.0, 0.6, 0.5, 0.5, 0.9, 0.9)
    assert differences([ROW, other], [other, ROW, (1.0, 0.1, 0, 0, 1, 1)], 0.3, 1e-3, 1e-4) == []


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ([], "missing"),
        ([(2.0, *ROW[1:])], "missing"),
        ([(*ROW[:5], 0.402)], "missing"),
        ([(1.0, 0.8002, *ROW[2:])], "score 0.8002"),
        ([ROW, ROW], "too much"),
        ([ROW, (0.0, 0.5, 0, 0, 1, 1)], "too much"),
    ],
)
def test_what_differs_is_named(found: list[tuple[float, ...]], fault: str) -> None:
    assert differences([ROW], found, 0.3, 1e-3, 1e-4)[0].startswith(fault)


def test_a_detection_near_the_floor_may_fall_below_it() -> None:
    low = (1.0, 0.32, *ROW[2:])
    assert differences([low], [(1.0, 0.28, *ROW[2:])], 0.3, 1e-3, 0.05) == []
    assert differences([], [low], 0.3, 1e-3, 0.05) == []


def test_rows_are_read_as_each_form_has_them() -> None:
    boxes = np.array([[[0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0]]], np.float32)
    scores, classes = np.array([[0.8, 0]], np.float32), np.array([[1, -1]], np.float32)
    contract = rows_of("portable", [np.array([[1]]), boxes, scores, classes], (100, 50))
    ssd = rows_of("frigate-ssd", [np.array([[[[0, 1, 0.8, 0.1, 0.2, 0.3, 0.4], [0] * 7]]], np.float32)], (100, 50))
    nas = np.array([[0, 10, 10, 30, 20, 0.8, 1], [0, 0, 0, 0, 0, 0, -1]], np.float32)
    for found in (contract, ssd, rows_of("frigate-yolonas", [nas], (100, 50))):
        np.testing.assert_allclose(found, [ROW], atol=1e-6)


def run(package: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(package / "selfcheck" / "selfcheck.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_script_runs_alone(copy_of) -> None:
    package = copy_of("triton")
    assert "ssd_edge" not in (package / "selfcheck" / "selfcheck.py").read_text()
    done = run(package)
    assert done.returncode == 0, done.stderr
    count = len(json.loads((package / "selfcheck" / "onnxruntime.json").read_text())["detections"])
    assert done.stdout.splitlines() == [f"{name}: the same {count} detections" for name in ("onnxruntime", "tensorrt")]


def test_the_script_sees_a_model_whose_weights_changed(copy_of) -> None:
    package = copy_of("triton")
    path = package / "build" / "model.onnx"
    model = onnx.load(path)
    weight = next(entry for entry in model.graph.initializer if len(entry.dims) == 4)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.05), weight.name))
    onnx.save(model, path)
    done = run(package)
    assert done.returncode == 1
    assert "tensorrt: the same" not in done.stdout
    assert "onnxruntime: the same" in done.stdout


@pytest.mark.parametrize("host", ["triton", "board", "frigate", "deepstream"])
def test_openvino_runs_every_form_the_exported_file_too(copy_of, host: str) -> None:
    pytest.importorskip("openvino")
    package = copy_of(host)
    done = run(package, "--runtime", "openvino")
    assert done.returncode == 0, done.stdout + done.stderr
    checks = sorted(path.stem for path in (package / "selfcheck").glob("*.json"))
    assert [line.partition(": the same ")[0] for line in done.stdout.splitlines()] == checks


def test_what_the_script_lacks_is_said_in_a_sentence(copy_of) -> None:
    package = copy_of("board")
    script = package / "selfcheck" / "selfcheck.py"
    program = (
        f"import runpy, sys; sys.modules['onnxruntime'] = None; runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-Ic", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "selfcheck.py: onnxruntime is not installed: pip install onnxruntime\n"
    (package / "selfcheck" / "image.png").unlink()
    done = run(package)
    assert done.returncode == 1
    assert "image.png is missing, or is not an image" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
