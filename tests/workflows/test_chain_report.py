"""The frame that stands for a video."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.workflows.chain_report import _poster
from tests.streaming.films import number_of, write_film

BOX = {"label": "dog", "score": 0.7, "box": [0, 0, 32, 32]}


def lines(path: Path, counts: list[int]) -> Path:
    path.write_text(
        "".join(json.dumps({"frame": n, "detections": [BOX] * count}) + "\n" for n, count in enumerate(counts))
    )
    return path


def test_it_is_the_one_with_most_detections(tmp_path: Path) -> None:
    video = write_film(tmp_path / "video.mp4", 8)
    run = SimpleNamespace(annotated=video, lines=lines(tmp_path / "boxes.jsonl", [1, 0, 2, 1, 1, 3, 3, 0]))
    assert number_of(_poster(run, ["dog"])) == 5  # type: ignore[arg-type]


def test_a_video_that_is_shorter_than_its_detections_is_damaged(tmp_path: Path) -> None:
    video = write_film(tmp_path / "video.mp4", 3)
    run = SimpleNamespace(annotated=video, lines=lines(tmp_path / "boxes.jsonl", [1, 1, 1, 1, 2]))
    with pytest.raises(ArtifactError, match=r"video\.mp4 is shorter than .*boxes\.jsonl: wanted 5 frames"):
        _poster(run, ["dog"])  # type: ignore[arg-type]
