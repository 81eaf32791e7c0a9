"""Parts are compared with the plan, and figures with those of the training set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ssd_edge.core.errors import ArtifactError
from ssd_edge.data.statistics import SetStatistics
from ssd_edge.labelling.job import JobFolder
from ssd_edge.labelling.rows import PartWriter, Rows, table_of
from ssd_edge.labelling.summary import summarize
from tests.labelling.photos import write_photos
from tests.labelling.test_rows import NAMES, detections
from tests.labelling.test_run import JOB

pytest.importorskip("pyarrow")
BOX = (0.0, 0.0, 8.0, 4.0)
TRAINED = SetStatistics(10, 0, 20, 0, {"cat": 15, "cow": 5}, {}, {}, (0.1,) * 7, (), (), {})


def write(folder: JobFolder, number: int, *groups: Sequence[str], boxes: int = 1, error: str | None = None) -> None:
    """Write a part of some groups of rows, each image with so many boxes."""
    writer = PartWriter(folder.part_path(number), folder.metadata)
    for ids in groups:
        count = len(ids)
        found = [detections(*[BOX] * boxes)] * count
        rows = Rows(list(ids), list(ids), [None if error else (16, 8)] * count, found, [error] * count)
        writer.add(table_of(rows, "m", NAMES))
    writer.finish()


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobFolder:
    """Of two parts: 0000 and 0001, and 0002."""
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "p", 3)
    return JobFolder.enter(Path("out"), JOB, ["p"])


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobFolder:
    monkeypatch.chdir(tmp_path)
    Path("v.mp4").touch()
    return JobFolder.enter(Path("out"), JOB, ["v.mp4"])


@pytest.mark.parametrize(
    "groups",
    [
        [["p/0000.png"]],
        [["p/0001.png", "p/0000.png"]],
        [["p/0000.png", "p/0001.png", "p/0001.png"]],
        [["p/0000.png"], ["p/0001.png"], ["p/0002.png"]],
        [[]],
    ],
)
def test_a_part_without_each_image_of_its_unit_once_is_refused(photos: JobFolder, groups: list[list[str]]) -> None:
    write(photos, 0, ["p/0000.png"], ["p/0001.png"])
    summary, left_out = summarize(photos, "no data", "")
    assert (summary.images, summary.parts, summary.complete, summary.digest, left_out) == (2, 1, False, "", [])
    write(photos, 0, *groups)
    with pytest.raises(ArtifactError, match=r"part-000000\.parquet does not contain the images of the plan"):
        summarize(photos, "no data", "")


@pytest.mark.parametrize(
    ("groups", "images"),
    [
        ([["v.mp4#000000", "v.mp4#000005"], ["v.mp4#000007"]], 3),
        ([["v.mp4"]], 1),  # one of which no frame can be read
        ([["v.mp4#000000", "v.mp4#000000"]], 0),
        ([["v.mp4#000003"], ["v.mp4#000002"]], 0),
        ([["v.mp4#last"]], 0),
        ([["w.mp4#000000"]], 0),
        ([["v.mp4"], ["v.mp4"]], 0),
        ([["v.mp4"], ["v.mp4#000001"]], 0),
        ([["v.mp4#000000"], ["v.mp4"]], 0),
        ([[]], 0),
    ],
)
def test_frames_of_a_video_follow_each_other_and_no_other(
    video: JobFolder, groups: list[list[str]], images: int
) -> None:
    write(video, 0, *groups)
    if images:
        assert summarize(video, "no data", "")[0].images == images
    else:
        with pytest.raises(ArtifactError, match="does not contain the images of the plan"):
            summarize(video, "no data", "")


def test_shares_of_classes_are_compared_with_those_of_the_training_set(photos: JobFolder) -> None:
    write(photos, 0, ["p/0000.png", "p/0001.png"], boxes=2)  # of both classes one
    write(photos, 1, ["p/0002.png"], boxes=0, error="is truncated")
    summary, left_out = summarize(photos, TRAINED, "signs")
    assert (summary.images, summary.errors, [entry.what for entry in left_out]) == (3, 1, ["p/0002.png"])
    drift = summary.drift
    assert (drift.dataset, drift.unknown) == ("signs", "")
    assert drift.class_shares == {"cat": (0.75, 0.5), "dog": (0.0, 0.5), "cow": (0.25, 0.0)}
    assert drift.class_distance == 0.5
    assert drift.objects_per_image == (2.0, 2.0)  # of images that can be read


@pytest.mark.parametrize(
    ("boxes", "error", "trained"),
    [
        (0, None, TRAINED),
        (0, "is truncated", TRAINED),
        (1, None, replace(TRAINED, per_class={"cat": 0}, objects=0)),
        (1, None, replace(TRAINED, per_class={}, objects=0, images=0)),
    ],
)
def test_nothing_is_compared_with_nothing(
    photos: JobFolder, boxes: int, error: str | None, trained: SetStatistics
) -> None:
    write(photos, 0, ["p/0000.png", "p/0001.png"], boxes=boxes, error=error)
    drift = summarize(photos, trained, "signs")[0].drift
    assert (drift.dataset, drift.class_shares, drift.class_distance) == ("signs", {}, None)
    assert "no detections, or no objects" in drift.unknown
