from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.data.video_truth import read_film_truth
from ssd_edge.scenes import SIGN_KINDS, synth_video
from ssd_edge.scenes.drive import Drive

SIZE = (160, 96)


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
    film = tmp_path / f"film{suffix}"
    truth = synth_video(film, frames=12, size=SIZE, seed=1)
    frames = frames_of(film)
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert len(frames) == len(lines) == 12
    assert frames[0].shape == (96, 160, 3)
    assert [line["frame"] for line in lines] == list(range(12))
    assert lines[3]["t"] == pytest.approx(0.1)
    assert {line["source"] for line in lines} == {str(film)}
    assert read_film_truth(truth, SIGN_KINDS).object_count > 12
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([film.name, "film.truth.jsonl"])


def test_the_same_seed_films_the_same_drive(tmp_path: Path) -> None:
    truths = [synth_video(tmp_path / name / "f.mp4", frames=4, size=SIZE, seed=5) for name in ("a", "b")]
    first, second = (read_film_truth(truth, SIGN_KINDS) for truth in truths)
    for one, other in zip(first.samples, second.samples, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
    digests = {hashlib.sha256(np.stack(frames_of(truth.parent / "f.mp4")).tobytes()).hexdigest() for truth in truths}
    assert len(digests) == 1


def test_signs_come_nearer_smoothly() -> None:
    drive = Drive(96, 160, length=12, seed=2)
    views = [drive.view(step * 0.25, step / 30) for step in range(12)]
    for before, after in itertools.pairwise(views):
        labels = [item.label for item in before.objects]
        for item in before.objects:
            same = [other for other in after.objects if other.label == item.label]
            if labels.count(item.label) == 1 and len(same) == 1 and item.box[0] > 0 and item.box[2] < 160:
                assert same[0].box[3] - same[0].box[1] >= item.box[3] - item.box[1] - 1.5
                assert np.abs(np.array(same[0].box) - item.box).max() <= 12


def test_an_interrupted_film_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int, note: str = "") -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synth_video(tmp_path / "film.mp4", frames=5, size=SIZE, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("film.gif", {}, r"got '\.gif'; wanted \.mp4 or \.avi"),
        ("film.mp4", {"frames": 0}, "got 0 frames; wanted 1 or more"),
        ("film.mp4", {"size": (161, 96)}, "got 161 x 96; wanted even sides, 32 to 8192"),
        ("film.mp4", {"seed": -1}, "got seed -1; wanted 0 or more"),
    ],
)
def test_senseless_requests_are_refused(tmp_path: Path, name: str, change: dict[str, object], message: str) -> None:
    request: dict[str, object] = {"frames": 2, "size": SIZE, **change}
    with pytest.raises(InputError, match=f"cannot be drawn: {message}"):
        synth_video(tmp_path / name, **request)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_codec_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2.VideoWriter, "isOpened", lambda self: False)
    with pytest.raises(InputError, match=r"film\.mp4 cannot be encoded: got OpenCV without the codec mp4v"):
        synth_video(tmp_path / "film.mp4", frames=2, size=SIZE)
    assert list(tmp_path.iterdir()) == []
