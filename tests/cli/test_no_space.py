"""No space while ``build`` and ``calibrate`` write: named, exit code 1, and all files are as they were.

The system refuses files above a size (RLIMIT_FSIZE), in a process of its own: as a full disk does, in the middle.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from ssd_edge.backends.detector import open_detector
from tests.quantization.square_model import (
    square_model,
    squares_missed,
    write_labelled,
    write_pictures,
    write_square_model,
)

ROOT = Path(__file__).parents[2]
ENGINES = Path("engines/selftest")
HAS_RTX = importlib.util.find_spec("tensorrt_rtx_bindings") is not None
RTX = pytest.mark.skipif(not HAS_RTX, reason="tensorrt-rtx is not installed")


def run(folder: Path, *arguments: str, most: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``ssd-edge``, which may write files of at most so many bytes."""

    def limit() -> None:
        if most is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    return subprocess.run(
        [sys.executable, "-m", "ssd_edge", *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp")}, preexec_fn=limit,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_square_model(tmp_path / ENGINES / "selftest.onnx")
    write_pictures(tmp_path / "images", 36)
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("target", "fits"),
    [
        ("onnxruntime", "nothing"),  # not even the lowered graph, on its way to ONNX Runtime
        ("onnxruntime", "all but a byte"),  # of the engine, which ONNX Runtime writes itself
        pytest.param("tensorrt-rtx", "all but a byte", marks=RTX),
    ],
)
def test_a_build_without_space(workspace: Path, target: str, fits: str) -> None:
    arguments = ("build", "--target", target, "--force", "--keep-graph")
    engine = ENGINES / f"selftest.fp32.{target}.engine"
    built = run(workspace, *arguments)
    assert built.returncode == 0, built.stderr
    before = contents(workspace)
    most = 1 if fits == "nothing" else (workspace / engine).stat().st_size - 1
    failed = run(workspace, *arguments, most=most)
    assert failed.returncode == 1
    full = workspace / "tmp" if fits == "nothing" else engine
    assert f"ssd-edge: {full} cannot be written (File too large)" in failed.stderr
    assert "Free some space, or " in failed.stderr
    assert contents(workspace) == before
    if target == "onnxruntime":
        with open_detector(workspace / engine) as detector:
            assert squares_missed(detector) == 0


def test_a_graph_without_space(workspace: Path) -> None:
    size = len(square_model().SerializeToString())
    assert run(workspace, "build").returncode == 0
    engine = workspace / ENGINES / "selftest.fp32.onnxruntime.engine"
    failed = run(workspace, "build", "--keep-graph", most=size - 1)
    assert failed.returncode == 1
    assert "selftest.fp32.onnxruntime.onnx cannot be written (File too large)" in failed.stderr
    assert sorted(path.name for path in (workspace / ENGINES).iterdir()) == [
        engine.name, engine.with_suffix(".json").name, "selftest.onnx",
    ]  # fmt: skip
    with open_detector(engine) as detector:
        assert squares_missed(detector) == 0


@pytest.mark.parametrize(
    ("most", "full"), [(1_000, "selftest.images.json"), (7_000, ".state.npz"), (4_500, "selftest.ranges.json")]
)
def test_a_calibration_without_space(workspace: Path, most: int, full: str) -> None:
    pictures = 36 if full.endswith("npz") else 10  # of few images no state is kept
    arguments = ("calibrate", "--images", "images", "--max-images", str(pictures), "--method", "minmax")
    assert run(workspace, *arguments).returncode == 0
    before = contents(workspace)
    failed = run(workspace, *arguments, most=most)
    assert failed.returncode == 1
    assert f"{full} cannot be written (File too large). Free some space" in failed.stderr
    assert contents(workspace) == before


def test_judging_without_space_for_what_is_not_kept(workspace: Path) -> None:
    write_labelled(workspace / "voc", "val", 2)
    assert run(workspace, "calibrate", "--images", "images", "--method", "minmax").returncode == 0
    before = contents(workspace)
    failed = run(workspace, "build", "--int8", "--data", "voc", most=len(square_model().SerializeToString()) - 1)
    assert failed.returncode == 1
    assert f"ssd-edge: {workspace / 'tmp'} cannot be written (File too large)" in failed.stderr
    assert "Free some space, or set TMPDIR" in failed.stderr
    assert contents(workspace) == before


def test_improving_keeps_no_model_on_the_disk_in_between(workspace: Path) -> None:
    assert run(workspace, "calibrate", "--images", "images", "--method", "minmax").returncode == 0
    made = run(workspace, "build", "--int8", "--refine", most=len(square_model().SerializeToString()) - 1)
    assert made.returncode == 0, made.stderr
