from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.cpu import Threads
from ssd_edge.backends.detector import Detector, open_backend, open_detector
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.labelling.items import Item
from ssd_edge.labelling.labeller import Labeller, member_bytes, read_item
from ssd_edge.labelling.rows import Rows
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.labelling.photos import SIZE, box_of, image_of, write_photos


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_onnx(tmp_path_factory.mktemp("model") / "bright.onnx")


def no_video(path: Path) -> Iterator[np.ndarray]:
    raise InputError(f"{path} is not a video that OpenCV can read")


def three_frames(path: Path) -> Iterator[np.ndarray]:
    yield from map(image_of, range(3))
    if path.name == "broken":
        raise InputError(f"{path} ends in the middle")


def labelled(model: Path, units: list[list[Item]], video=no_video, **options: int) -> list[Rows]:
    kept = {"batch": 4, "threads": 2, "every": 1, **options}
    with open_detector(model, Threads(2, 1)) as detector, Labeller(detector, open_video=video, **kept) as labeller:
        found = list(labeller.label(enumerate(units)))
    assert [group.unit for group in found if group.is_last] == list(range(len(units)))
    joined = [Rows() for _ in units]
    for group in found:
        assert len(group.rows) > 0
        joined[group.unit].add(group.rows)
    return joined


def items_of(paths: list[Path]) -> list[Item]:
    return [Item(path.name, str(path)) for path in paths]


def test_each_image_has_its_own_boxes_in_the_order_of_the_plan(model: Path, tmp_path: Path) -> None:
    items = items_of(write_photos(tmp_path, 23))
    units = [items[:10], items[10:11], items[11:]]
    found = labelled(model, units)
    assert [rows.ids for rows in found] == [[item.id for item in unit] for unit in units]
    boxes = [one.boxes for rows in found for one in rows.found]
    expected = [[box_of(number)] for number in range(23)]
    np.testing.assert_allclose(boxes, expected, atol=2.0)  # the model counts whole pixels of 64 x 64
    assert {size for rows in found for size in rows.sizes} == {SIZE}


def test_results_are_those_of_the_detector_alone(model: Path, tmp_path: Path) -> None:
    paths = write_photos(tmp_path, 5)
    (rows,) = labelled(model, [items_of(paths)], threads=1, batch=3)
    with open_detector(model) as detector:
        for path, found in zip(paths, rows.found, strict=True):
            alone = detector(path)
            assert np.array_equal(alone.boxes, found.boxes)
            assert np.array_equal(alone.scores, found.scores)


def test_a_damaged_image_is_a_row_and_moves_no_other(model: Path, tmp_path: Path) -> None:
    paths = write_photos(tmp_path, 6)
    (whole,) = labelled(model, [items_of(paths)])
    paths[1].write_bytes(paths[1].read_bytes()[:100])
    paths[4].unlink()
    (rows,) = labelled(model, [items_of(paths)])
    assert [error is None for error in rows.errors] == [True, False, True, True, False, True]
    assert "truncated" in str(rows.errors[1])
    assert "No such file" in str(rows.errors[4])
    assert (rows.sizes[1], len(rows.found[1]), rows.error_count) == (None, 0, 2)
    for number in (0, 2, 3, 5):
        assert np.array_equal(rows.found[number].boxes, whole.found[number].boxes)


class Recording:
    """A backend that notes the batches it is given, and fails when it is told to."""

    def __init__(self, model: Path, fails_at: int = -1) -> None:
        self._inner, self._fails_at = open_backend(model), fails_at
        self.batches: list[np.ndarray] = []
        self.lock = threading.Lock()

    def infer(self, batch: np.ndarray) -> RawOutputs:
        with self.lock:
            self.batches.append(batch.copy())
        if len(self.batches) == self._fails_at:
            raise ArtifactError("the model fails")
        return self._inner.infer(batch)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def test_every_batch_is_of_the_same_size_filled_with_black(model: Path, tmp_path: Path) -> None:
    paths = write_photos(tmp_path, 6)
    paths[2].write_text("damaged")
    backend = Recording(model)
    with Labeller(Detector(backend), batch=4, threads=1, every=1, open_video=no_video) as labeller:
        list(labeller.label([(0, items_of(paths))]))
    assert [batch.shape for batch in backend.batches] == [(4, 64, 64, 3)] * 2
    black = [[not image.any() for image in batch] for batch in backend.batches]
    assert black == [[False, False, True, False], [False, False, True, True]]


def test_a_model_that_fails_ends_the_work(model: Path, tmp_path: Path) -> None:
    backend = Recording(model, fails_at=3)
    units = [[item] for item in items_of(write_photos(tmp_path, 30))]
    with Labeller(Detector(backend), batch=1, threads=1, every=1, open_video=no_video) as labeller:
        done = []
        with pytest.raises(ArtifactError, match="the model fails"):
            for group in labeller.label(enumerate(units)):
                done.append(group.unit)
    assert done == [0, 1]
    assert len(backend.batches) < 30


def test_little_is_read_ahead(model: Path, tmp_path: Path) -> None:
    """Of a list without end, no more is taken than the threads need."""
    item = items_of(write_photos(tmp_path, 1))[0]
    taken = 0

    def endless() -> Iterator[tuple[int, list[Item]]]:
        nonlocal taken
        for taken in itertools.count():
            yield taken, [item] * 4

    with (
        open_detector(model) as detector,
        Labeller(detector, batch=4, threads=2, every=1, open_video=no_video) as labeller,
    ):
        found = labeller.label(endless())
        for _ in range(20):
            next(found)
        assert taken < 40
        found.close()


def test_the_frames_of_a_video_are_images(model: Path) -> None:
    (rows,) = labelled(model, [[Item("v.mp4", "/v.mp4", "video")]], three_frames, batch=2)
    assert rows.ids == ["v.mp4#000000", "v.mp4#000001", "v.mp4#000002"]
    assert set(rows.paths) == {"/v.mp4"}
    np.testing.assert_allclose([one.boxes for one in rows.found], [[box_of(number)] for number in range(3)], atol=2.0)
    (rows,) = labelled(model, [[Item("v.mp4", "/v.mp4", "video")]], three_frames, every=2)
    assert rows.ids == ["v.mp4#000000", "v.mp4#000002"]


def test_a_long_video_comes_in_groups(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssd_edge.labelling.labeller._GROUP", 3)

    def seven(_: Path) -> Iterator[np.ndarray]:
        yield from map(image_of, range(7))

    for batch, sizes in ((2, [4, 3]), (3, [3, 3, 1]), (7, [7])):
        with (
            open_detector(model) as detector,
            Labeller(detector, batch=batch, threads=1, every=1, open_video=seven) as labeller,
        ):
            groups = list(labeller.label([(5, [Item("v", "/v", "video")])]))
        assert [len(group.rows) for group in groups] == sizes
        assert [group.is_last for group in groups] == [False] * (len(sizes) - 1) + [True]
        ids = [name for group in groups for name in group.rows.ids]
        assert ids == [f"v#{number:06d}" for number in range(7)]


def test_a_video_that_cannot_be_read_is_a_row_and_so_is_its_broken_end(model: Path) -> None:
    (rows,) = labelled(model, [[Item("v.mp4", "/v.mp4", "video")]])
    assert (rows.ids, rows.error_count) == (["v.mp4"], 1)
    (rows,) = labelled(model, [[Item("v", "/broken", "video")]], three_frames)
    assert rows.ids[-1] == "v#000003"
    assert [error is None for error in rows.errors] == [True, True, True, False]


def test_bytes_of_a_tar_are_checked(tmp_path: Path) -> None:
    (path,) = write_photos(tmp_path, 1)
    size = path.stat().st_size
    assert np.array_equal(read_item(Item("a", str(path), "member", 0, size)), cv2.imread(str(path)))
    for item in (
        Item("a", str(path), "member", 5, size),
        Item("a", str(tmp_path / "gone"), "member", 0, 1),
        Item("a", str(path), "member", 0, 0),
        Item("a", str(path), "member", 0, 1 << 40),
    ):
        with pytest.raises(InputError, match="^a "):
            read_item(item)
    with pytest.raises(InputError, match="is truncated"):
        member_bytes(Item("a", str(path), "member", 5, size))
