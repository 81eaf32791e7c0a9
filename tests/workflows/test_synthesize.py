from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import read_image
from ssd_edge.core.progress import ProgressEvent
from ssd_edge.data.find import open_dataset
from ssd_edge.data.video_truth import read_video_truth
from ssd_edge.scenes.scene import draw_scene
from ssd_edge.scenes.signs import SIGN_KINDS
from ssd_edge.workflows.synthesize import SynthesizeResult, synthesize
from ssd_edge.workflows.synthesize_config import SynthesizeConfig, SynthesizeOptions

SIZE = (64, 48)


def draw(folder: Path, **options: Any) -> SynthesizeResult:
    """Draw small images, of the training set alone unless others are asked for."""
    return synthesize(folder, **{"val": 0, "test": 0, "size": SIZE, **options})


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_draws_the_same_files_whatever_the_number_of_workers(tmp_path: Path) -> None:
    for name, workers in (("a", 1), ("b", 3)):
        assert draw(tmp_path / name, train=5, val=2, seed=9, workers=workers).is_new
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    draw(tmp_path / "c", train=5, val=2, seed=10)
    assert (
        digests(tmp_path / "c")["JPEGImages/train_000000.jpg"] != digests(tmp_path / "a")["JPEGImages/train_000000.jpg"]
    )


def test_a_larger_set_begins_with_the_smaller_one_and_splits_share_nothing(tmp_path: Path) -> None:
    draw(tmp_path / "small", train=2, val=2, test=2)
    draw(tmp_path / "large", train=4, val=3, test=2)
    small, large = digests(tmp_path / "small"), digests(tmp_path / "large")
    pictures = [name for name in small if name.startswith(("JPEGImages", "Annotations"))]
    assert all(small[name] == large[name] for name in pictures)
    assert len({small[name] for name in pictures if name.endswith("jpg")}) == 6


@pytest.mark.parametrize(("format", "precision"), [("voc", 0.0), ("coco", 0.0), ("yolo", 1e-4)])
def test_every_layout_reads_back_to_what_was_drawn(tmp_path: Path, format: str, precision: float) -> None:
    draw(tmp_path / "set", format=format, train=6, test=1, seed=4)
    labelled = open_dataset(tmp_path / "set", "train")
    assert labelled.class_names == SIGN_KINDS
    for index, sample in enumerate(labelled.samples):
        scene = draw_scene(48, 64, 4, index)
        drawn = [item for item in scene.objects if not (item.difficult and format == "yolo")]
        np.testing.assert_allclose(sample.boxes, np.reshape([item.box for item in drawn], (-1, 4)), atol=precision)
        assert [labelled.class_names[number] for number in sample.class_ids] == [item.label for item in drawn]
        assert sample.difficult.tolist() == [item.difficult for item in drawn]
        grey = [image.mean(axis=2) for image in (read_image(sample.image), scene.image)]
        assert np.abs(grey[0] - grey[1]).mean() < 4  # JPEG halves the resolution of colors
    assert len(open_dataset(tmp_path / "set", "test")) == 1


def test_the_same_set_is_left_as_it_is_and_another_replaces_it(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    assert draw(folder, train=2).is_new
    before = (folder / "synth.json").stat().st_mtime_ns
    assert not draw(folder, train=2).is_new
    assert (folder / "synth.json").stat().st_mtime_ns == before
    assert draw(folder, train=1).is_new
    assert len(open_dataset(folder, "train")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_foreign_folder_is_refused_and_replaced_on_demand(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="mine is not empty and was not drawn by ssd-edge.*1 files.*overwrite=True"):
        draw(folder, train=1)
    assert (folder / "thesis.txt").exists()
    draw(folder, train=1, overwrite=True)
    assert not (folder / "thesis.txt").exists()


def test_an_interrupted_run_leaves_things_as_they_were(tmp_path: Path) -> None:
    def stop(event: ProgressEvent) -> None:
        if event.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path / "new", train=5, progress=stop)
    assert list(tmp_path.iterdir()) == []
    draw(tmp_path / "old", train=1)
    before = digests(tmp_path / "old")
    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path / "old", train=5, progress=stop)
    assert digests(tmp_path / "old") == before
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_progress_counts_the_pictures(tmp_path: Path) -> None:
    seen: list[ProgressEvent] = []
    draw(tmp_path / "a", train=2, val=1, progress=seen.append)
    assert [(event.stage, event.done, event.total) for event in seen[1:-1]] == [
        ("drawing", 1, 3),
        ("drawing", 2, 3),
        ("drawing", 3, 3),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": 0}, "no negative count, and one image or more"),
        ({"val": -1}, "no negative count"),
        ({"train": (1 << 30) + 1}, "at most 1073741824 in a split"),
        ({"size": (31, 64)}, "got 31 x 64; wanted sides of 32 to 8192 pixels"),
        ({"seed": -1}, "got seed -1; wanted 0 or more"),
        ({"format": "xml"}, "format has no such value: got 'xml'; wanted 'voc', 'coco', 'yolo'"),
    ],
)
def test_senseless_requests_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    request: dict[str, object] = {"train": 1, "size": SIZE, **change}
    with pytest.raises(InputError, match=message):
        draw(tmp_path / "a", **request)
    assert list(tmp_path.iterdir()) == []


def test_files_and_the_working_folder_are_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file is a file: wanted a folder"):
        draw(tmp_path / "file", train=1, overwrite=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for folder in (Path(), tmp_path):
        with pytest.raises(InputError, match="is the current folder"):
            draw(folder, train=1, overwrite=True)


def test_a_full_disk_is_named_and_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "set"
    folder.mkdir()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ssd_edge.workflows.synthesize.write_image", full)
    with pytest.raises(InputError, match="set cannot be written .No space left"):
        draw(folder, train=1)
    assert list(tmp_path.iterdir()) == [folder]


def test_keywords_are_the_fields_of_the_config() -> None:
    assert set(SynthesizeOptions.__annotations__) == {field.name for field in dataclasses.fields(SynthesizeConfig)}


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(InputError, match="there is nothing to draw"):
        synthesize(None)


def film_of(video: Path, **options: Any) -> Path:
    """Draw a small video alone, and return the file with the truth."""
    truth = synthesize(None, video=video, **{"video_size": (160, 96), **options}).truth
    assert truth is not None
    return truth


def frames_of(path: Path) -> list[np.ndarray]:  # type: ignore[type-arg]
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        read, frame = capture.read()
        if not read:
            return frames
        frames.append(frame)


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_the_film_plays_and_its_truth_has_a_line_for_each_frame(tmp_path: Path, suffix: str) -> None:
    film = tmp_path / f"video{suffix}"
    truth = film_of(film, frames=12, seed=1)
    frames = frames_of(film)
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert len(frames) == len(lines) == 12
    assert frames[0].shape == (96, 160, 3)
    assert [line["frame"] for line in lines] == list(range(12))
    assert lines[3]["t"] == pytest.approx(0.1)
    assert {line["source"] for line in lines} == {str(film)}
    assert read_video_truth(truth, SIGN_KINDS).object_count > 12
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([film.name, "video.truth.jsonl"])


def test_the_same_seed_films_the_same_drive(tmp_path: Path) -> None:
    truths = [film_of(tmp_path / name / "f.mp4", frames=4, seed=5) for name in ("a", "b")]
    first, second = (read_video_truth(truth, SIGN_KINDS) for truth in truths)
    for one, other in zip(first.samples, second.samples, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
    digests = {hashlib.sha256(np.stack(frames_of(truth.parent / "f.mp4")).tobytes()).hexdigest() for truth in truths}
    assert len(digests) == 1


def test_an_interrupted_film_leaves_nothing(tmp_path: Path) -> None:
    def stop(event: ProgressEvent) -> None:
        if event.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film_of(tmp_path / "video.mp4", frames=5, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("video.gif", {}, r"got '\.gif'; wanted \.mp4 or \.avi"),
        ("video.mp4", {"frames": 0}, "got 0 frames; wanted 1 or more"),
        ("video.mp4", {"video_size": (161, 96)}, "got 161 x 96; wanted even sides, 32 to 8192"),
        ("video.mp4", {"seed": -1}, "got seed -1; wanted 0 or more"),
    ],
)
def test_senseless_videos_are_refused(tmp_path: Path, name: str, change: dict[str, object], message: str) -> None:
    request: dict[str, object] = {"frames": 2, **change}
    with pytest.raises(InputError, match=f"cannot be drawn: {message}"):
        film_of(tmp_path / name, **request)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_codec_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.VideoWriter, "isOpened", lambda self: False)
    with pytest.raises(InputError, match=r"video\.mp4 cannot be encoded: got OpenCV without the codec mp4v"):
        film_of(tmp_path / "video.mp4", frames=2)
    assert list(tmp_path.iterdir()) == []
