"""Ctrl-C in the middle of a build: with the real TensorRT-RTX, and with stand-ins with and without a monitor."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.engines.standin_tensorrt import RELEASES
from tests.processes import running
from tests.quantization.square_model import write_square_model

ROOT = Path(__file__).parents[2]
HAS_RTX = importlib.util.find_spec("tensorrt_rtx_bindings") is not None
RTX = pytest.param("rtx", marks=pytest.mark.skipif(not HAS_RTX, reason="tensorrt-rtx is not installed"))


def stopped(folder: Path, release: str, number: signal.Signals) -> tuple[int, str, float]:
    """Build, send the signal from inside of the build; return exit code, stderr, and the seconds until the end."""
    target = "tensorrt-rtx" if release == "rtx" else "tensorrt"
    command = [sys.executable, "-m", "tests.engines.held_build", release]
    options = ["build", "engines/squares/squares.onnx", "--target", target, "--force", "--keep-graph"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with running([*command, *options], cwd=folder, env=env, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "building\n"
        start = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=50)
        return process.returncode, errors, time.monotonic() - start


@pytest.mark.parametrize("release", [*RELEASES, RTX])
def test_ctrl_c_ends_the_build_soon_and_changes_no_file(tmp_path: Path, release: str) -> None:
    write_square_model(tmp_path / "engines/squares/squares.onnx")
    target = "tensorrt-rtx" if release == "rtx" else "tensorrt"
    for name in (f"squares/squares.fp32.{target}.engine", f"squares/squares.fp32.{target}.json", "timing.cache"):
        (tmp_path / "engines" / name).write_text("as it was")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, errors, seconds = stopped(tmp_path, release, signal.SIGINT)
    assert code == 130, errors
    assert errors.endswith("ssd-edge: stopped.\n")
    assert "BuildCanceled" not in errors
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert seconds < 5


@pytest.mark.parametrize("release", ["8.5.2.2", "10.3.0"])
def test_sigterm_too(tmp_path: Path, release: str) -> None:
    write_square_model(tmp_path / "engines/squares/squares.onnx")
    assert stopped(tmp_path, release, signal.SIGTERM)[0] == 143
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["squares.onnx"]
