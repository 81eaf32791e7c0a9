from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtefactError, InputError
from ssd_edge.core.workspace import (
    current_path,
    make_current,
    newest_checkpoint,
    newest_engine,
    newest_onnx,
    read_current,
)


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


def test_the_current_engine_is_taken_whatever_the_file_times_say(tmp_path: Path) -> None:
    engine = put(tmp_path / "engines/m/m.fp32.onnxruntime.engine", age=9)
    put(tmp_path / "engines/m/m.int8.onnxruntime.engine", age=0)
    assert make_current(tmp_path, engine, "built") == read_current(tmp_path)
    assert newest_engine(tmp_path).path == engine
    copied = tmp_path / "copied"
    shutil.copytree(tmp_path / "engines", copied / "engines")
    choice = newest_engine(copied)
    assert choice.path == copied / "engines/m/m.fp32.onnxruntime.engine"
    assert choice.note == f"using {choice.path}, built last"
    fields = json.loads(current_path(tmp_path).read_text())
    assert (fields["format"], fields["engine"]) == ("ssd-edge/current/1", "m/m.fp32.onnxruntime.engine")


def test_a_current_engine_that_cannot_run_here_or_is_gone_is_passed_over(tmp_path: Path) -> None:
    other = put(tmp_path / "engines/m/m.fp32.onnxruntime.engine", age=9)
    engine = put(tmp_path / "engines/m/m.fp32.tensorrt.engine", age=0)
    make_current(tmp_path, engine, "built")
    assert newest_engine(tmp_path, lambda path: "onnxruntime" in path.name).path == other
    engine.unlink()
    assert newest_engine(tmp_path).path == other


def test_what_is_pinned_stays_when_another_engine_is_built(tmp_path: Path) -> None:
    pinned = put(tmp_path / "engines/m/m.int8.onnxruntime.engine", age=5)
    other = put(tmp_path / "engines/m/m.fp32.onnxruntime.engine", age=0)
    make_current(tmp_path, pinned, "pinned")
    held = make_current(tmp_path, other, "built")
    assert held is not None
    assert (held.why, newest_engine(tmp_path).path) == ("pinned", pinned)
    make_current(tmp_path, other, "pinned")
    assert newest_engine(tmp_path).path == other
    other.unlink()  # a pin that leads nowhere holds nothing
    held = make_current(tmp_path, pinned, "built")
    assert held is not None
    assert held.why == "built"


def test_an_engine_elsewhere_is_never_current(tmp_path: Path) -> None:
    engine = put(tmp_path / "elsewhere/m.engine", age=0)
    assert make_current(tmp_path, engine, "built") is None
    assert not current_path(tmp_path).exists()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": "ssd-edge/current/1", "engine": 5}'])
def test_a_damaged_record_is_named_and_a_build_writes_it_anew(tmp_path: Path, text: str) -> None:
    engine = put(tmp_path / "engines/m/m.engine", age=0)
    current_path(tmp_path).write_text(text)
    with pytest.raises(ArtefactError, match="current.json is damaged: got "):
        newest_engine(tmp_path)
    make_current(tmp_path, engine, "built")
    assert newest_engine(tmp_path).path == engine
