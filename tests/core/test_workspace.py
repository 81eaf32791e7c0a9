from __future__ import annotations

import os
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.workspace import newest_checkpoint, newest_engine, newest_onnx


def put(path: Path, age: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return path


def test_newest_is_chosen_and_said(tmp_path: Path) -> None:
    put(tmp_path / "runs/old/best.pt", age=9)
    newest = put(tmp_path / "runs/new/best.pt", age=1)
    put(tmp_path / "runs/newest/last.pt", age=0)
    choice = newest_checkpoint(tmp_path)
    assert choice.path == newest
    assert choice.note == f"using {newest}, newest of 2"


def test_single_file_is_said_without_a_count(tmp_path: Path) -> None:
    path = put(tmp_path / "engines/m/m.onnx", age=0)
    assert newest_onnx(tmp_path).note == f"using {path}"


def test_unusable_engines_are_passed_over(tmp_path: Path) -> None:
    usable = put(tmp_path / "engines/m/m.fp32.onnxruntime.engine", age=5)
    put(tmp_path / "engines/m/m.fp32.tensorrt.engine", age=0)
    assert newest_engine(tmp_path, lambda path: "onnxruntime" in path.name).path == usable


def test_what_a_killed_process_left_half_written_is_passed_over(tmp_path: Path) -> None:
    whole = put(tmp_path / "engines/m/m.onnx", age=9)
    put(tmp_path / "engines/m/.m.4711.partial.onnx", age=0)
    assert newest_onnx(tmp_path).path == whole


@pytest.mark.parametrize(
    ("choose", "do"),
    [
        (newest_checkpoint, "Train one: ssd-edge train"),
        (newest_onnx, "Export one: ssd-edge export"),
        (newest_engine, "Build one: ssd-edge build"),
    ],
)
def test_empty_workspace_names_the_command(tmp_path: Path, choose: object, do: str) -> None:
    with pytest.raises(InputError, match=do):
        choose(tmp_path)  # type: ignore[operator]
