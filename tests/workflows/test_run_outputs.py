from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.choices import OnFailure
from ssd_edge.core.errors import InputError
from ssd_edge.workflows.run_streams import run_streams
from ssd_edge.workflows.stream import stream
from ssd_edge.workflows.stream_config import RunConfig
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.full_disk import full_after
from tests.streaming.films import read_film, write_bright_film


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tiny_onnx(tmp_path / "engines" / "bright" / "bright.onnx")
    write_bright_film(tmp_path / "video.mp4", 20)
    return tmp_path


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def bright(path: Path) -> int:
    """Pixels of the brightest frame that nobody who is masked or blurred would have."""
    return max(int((image > 200).all(axis=2).sum()) for image in read_film(path))


def test_what_is_masked_is_neither_detected_nor_kept(workspace: Path) -> None:
    plain = RunConfig(output=workspace / "a.mkv", json_path=workspace / "a.jsonl", window=False)
    run_streams("video.mp4", config=plain)
    assert all(line["detections"] for line in lines_of(workspace / "a.jsonl"))
    assert bright(workspace / "a.mkv") > 300
    masked = replace(
        plain, output=workspace / "b.mkv", json_path=workspace / "b.jsonl", masks=("0,0 0.3,0 0.3,0.6 0,0.6",)
    )
    run_streams("video.mp4", config=masked)
    assert not any(line["detections"] for line in lines_of(workspace / "b.jsonl"))
    assert bright(workspace / "b.mkv") == 0


def test_a_program_sees_no_more_than_the_mask_leaves(workspace: Path) -> None:
    model = workspace / "engines/bright/bright.onnx"
    with stream("video.mp4", model, masks=["0,0 0.3,0 0.3,0.6 0,0.6"], max_frames=2) as frames:
        for frame, detections in frames:
            assert int(frame.image.max()) < 60
            assert len(detections) == 0


def test_a_class_to_blur_is_one_of_the_model_and_kept(workspace: Path) -> None:
    with pytest.raises(InputError, match="no class 'face', which is to be blurred"):
        run_streams("video.mp4", blur=("face",), window=False)
    with pytest.raises(InputError, match="dog cannot be blurred: got classes="):
        RunConfig(blur=("dog",), classes=("cat",))
    run_streams("video.mp4", blur=("dog",), output="a.mkv", window=False)
    assert len(read_film(workspace / "a.mkv")) == 20


def test_what_is_cut_goes_on_in_further_files_and_the_oldest_go(
    workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="ssd_edge")
    old = workspace / "a-20200101T000000Z.jsonl"
    old.write_text("{}\n")
    result = run_streams("video.mp4", json_path="a.jsonl", output="a.mkv", cut="1KB", keep_days=30, window=False)
    pieces = sorted(workspace.glob("a-*.jsonl"))
    assert old not in pieces
    assert len(pieces) > 1
    assert result.json_path is not None
    assert workspace / result.json_path in pieces
    assert result.path is not None
    assert workspace / result.path in list(workspace.glob("a-*.mkv"))
    lines = [line for piece in pieces for line in lines_of(piece)]
    assert sorted(line["seq"] for line in lines) == list(range(20))  # type: ignore[type-var]
    assert f"deleted {old.name}: it began more than 30 days ago" in caplog.text


def test_pieces_are_kept_only_of_what_is_cut() -> None:
    with pytest.raises(InputError, match="keep_days= and keep_gb= need cut="):
        RunConfig(keep_gb=3.0)


def test_a_full_disk_ends_one_output_and_the_others_go_on(workspace: Path) -> None:
    with full_after(3000):
        result = run_streams("video.mp4", json_path="a.jsonl", output="boxes", window=False)
    kept = lines_of(workspace / "a.jsonl")
    assert [line["seq"] for line in kept] == list(range(len(kept)))
    assert 0 < len(kept) < 20
    (lost, *_) = result.left_out
    assert str(lost).startswith(f"a.jsonl: {20 - len(kept)} frames are not in it: File too large")
    assert result.frames == 20


def test_a_full_disk_stops_the_run_where_that_is_asked_for(workspace: Path) -> None:
    with full_after(3000), pytest.raises(InputError, match=r"a\.jsonl cannot be written"):
        run_streams("video.mp4", json_path="a.jsonl", output="boxes", window=False, on_failure="stop")
    assert RunConfig().on_failure is OnFailure.GO_ON
    kept = lines_of(workspace / "a.jsonl")
    assert np.array_equal([line["frame"] for line in kept], np.arange(len(kept)))


def test_streams_share_a_file_of_lines_with_a_number_of_their_own(workspace: Path) -> None:
    write_bright_film(workspace / "other.mp4", 7)
    run_streams(["video.mp4", "other.mp4"], json_path="all.jsonl", cut="1d", window=False)
    (piece,) = workspace.glob("all-*.jsonl")
    for source, count in (("video.mp4", 20), ("other.mp4", 7)):
        of_one = [line for line in lines_of(piece) if line["source"] == source]
        assert [line["seq"] for line in of_one] == list(range(count))
