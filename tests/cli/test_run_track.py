"""``ssd-edge run --track`` from a video to lines, drawn captions and the table of objects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.backends.tiny_onnx import tiny_spec, write_tiny_onnx
from tests.cli.test_run import lines, run
from tests.streaming.films import read_film, write_moving_video


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, and a video of a square that is hidden for 8 frames of 25 a second."""
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    write_tiny_onnx(tmp_path / "engines" / "bright" / "bright.onnx")
    write_moving_video(tmp_path / "video.mp4", 50, dark=range(20, 28))
    return tmp_path


def ids_of(written: list[dict[str, Any]]) -> list[list[int | None]]:
    return [[found.get("track_id") for found in line["detections"]] for line in written]


def objects_of(result: Any) -> list[list[str]]:
    """The rows of the table of objects."""
    table = result.stdout[result.stdout.index("\nobjects") :]
    return [line.replace("│", " ").split() for line in table.splitlines() if line.startswith("│")]


def test_one_object_keeps_its_id_where_it_is_hidden_and_is_counted_once(workspace: Path) -> None:
    result = run("video.mp4", "--track", "--json", "boxes.jsonl", "--output", "boxes.mp4")
    assert result.exit_code == 0, result.stderr
    assert ids_of(lines(workspace / "boxes.jsonl")) == [[1]] * 20 + [[]] * 8 + [[1]] * 22
    assert objects_of(result) == [["dog", "1"]]
    assert len(read_film(workspace / "boxes.mp4")) == 50


def test_without_it_nothing_has_an_id(workspace: Path) -> None:
    result = run("video.mp4", "--json", "boxes.jsonl")
    assert {tuple(ids) for ids in ids_of(lines(workspace / "boxes.jsonl"))} == {(None,), ()}
    assert "objects" not in result.stdout


def test_a_track_lives_as_long_as_it_is_asked_to(workspace: Path) -> None:
    result = run("video.mp4", "--track", "--track-timeout", "0.2", "--json", "boxes.jsonl")
    assert result.exit_code == 0, result.stderr
    assert ids_of(lines(workspace / "boxes.jsonl")) == [[1]] * 20 + [[]] * 8 + [[2]] * 22
    refused = run("video.mp4", "--track", "--track-timeout", "-1")
    assert refused.exit_code == 2


@pytest.mark.parametrize("option", [["--every", "3"], ["--detect-fps", "10"]])
def test_frames_that_are_left_out_change_no_id(workspace: Path, option: list[str]) -> None:
    assert run("video.mp4", "--track", *option, "--json", "boxes.jsonl").exit_code == 0
    assert {tuple(ids) for ids in ids_of(lines(workspace / "boxes.jsonl"))} == {(1,), ()}


def test_a_weak_detection_begins_no_track(workspace: Path) -> None:
    result = run("video.mp4", "--track", "--threshold", "0.8", "--json", "boxes.jsonl")
    assert {tuple(ids) for ids in ids_of(lines(workspace / "boxes.jsonl"))} == {()}
    assert "objects" not in result.stdout


def test_a_model_that_gives_no_weak_detections_is_pointed_out_once(workspace: Path) -> None:
    path = next(workspace.glob("**/*.onnx"))
    model, spec = onnx.load(path), tiny_spec(path.stem)
    written = replace(spec, nms=replace(spec.nms, score_threshold=0.3)).to_json()
    onnx.helper.set_model_props(model, {"ssd_edge.spec": written})
    onnx.save(model, path)
    text = "exported with score threshold 0.3: no detection between 0.1 and 0.3"
    assert " ".join(run("video.mp4", "--track").stderr.split()).count(text) == 1
    assert "exported with" not in run("video.mp4").stderr


def test_each_lap_of_a_loop_has_its_own_objects(workspace: Path) -> None:
    write_moving_video(workspace / "still.mp4", 10)
    result = run("still.mp4", "--track", "--loop", "--max-frames", "25", "--json", "boxes.jsonl")
    assert result.exit_code == 0, result.stderr
    assert ids_of(lines(workspace / "boxes.jsonl")) == [[1]] * 10 + [[2]] * 10 + [[3]] * 5


def test_every_stream_counts_for_itself(workspace: Path) -> None:
    write_moving_video(workspace / "other.mp4", 40, dark=range(0, 3))
    (workspace / "streams.toml").write_text(
        'format = "ssd-edge/streams/1"\n[defaults]\njson = "lines/"\ntrack = true\n'
        '[[stream]]\nname = "gate"\nsource = "video.mp4"\ntrack_timeout = 0.2\n'
        '[[stream]]\nname = "yard"\nsource = "other.mp4"\n'
        '[[stream]]\nname = "door"\nsource = "other.mp4"\ntrack = false\n'
    )
    result = run("--config", "streams.toml")
    assert result.exit_code == 0, result.stderr
    found = {name: ids_of(lines(workspace / "lines" / f"{name}.jsonl")) for name in ("gate", "yard", "door")}
    assert found["gate"] == [[1]] * 20 + [[]] * 8 + [[2]] * 22
    assert found["yard"] == [[]] * 3 + [[1]] * 37
    assert found["door"] == [[]] * 3 + [[None]] * 37
    assert objects_of(result) == [["gate", "dog", "2"], ["yard", "dog", "1"]]
