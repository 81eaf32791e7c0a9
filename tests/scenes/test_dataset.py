from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import read_image
from ssd_edge.data.find import open_dataset
from ssd_edge.scenes import SIGN_KINDS, synthesize
from ssd_edge.scenes.dataset import LabelFormat
from ssd_edge.scenes.replaced_folder import replaced_folder
from ssd_edge.scenes.scene import draw_scene

SIZE = (64, 48)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_draws_the_same_files_whatever_the_number_of_workers(tmp_path: Path) -> None:
    for name, workers in (("a", 1), ("b", 3)):
        assert synthesize(tmp_path / name, train=5, val=2, size=SIZE, seed=9, workers=workers)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    synthesize(tmp_path / "c", train=5, val=2, size=SIZE, seed=10)
    assert (
        digests(tmp_path / "c")["JPEGImages/train_000000.jpg"] != digests(tmp_path / "a")["JPEGImages/train_000000.jpg"]
    )


def test_a_larger_set_begins_with_the_smaller_one_and_splits_share_nothing(tmp_path: Path) -> None:
    synthesize(tmp_path / "small", train=2, val=2, test=2, size=SIZE)
    synthesize(tmp_path / "large", train=4, val=3, test=2, size=SIZE)
    small, large = digests(tmp_path / "small"), digests(tmp_path / "large")
    pictures = [name for name in small if name.startswith(("JPEGImages", "Annotations"))]
    assert all(small[name] == large[name] for name in pictures)
    assert len({small[name] for name in pictures if name.endswith("jpg")}) == 6


@pytest.mark.parametrize(("format", "precision"), [("voc", 0.0), ("coco", 0.0), ("yolo", 1e-4)])
def test_every_layout_reads_back_to_what_was_drawn(tmp_path: Path, format: LabelFormat, precision: float) -> None:
    synthesize(tmp_path / "set", format=format, train=6, test=1, size=SIZE, seed=4)
    labelled = open_dataset(tmp_path / "set", "train")
    assert labelled.class_names == SIGN_KINDS
    for index, sample in enumerate(labelled.samples):
        scene = draw_scene(48, 64, 4, index)
        drawn = [item for item in scene.objects if not (item.difficult and format == "yolo")]
        np.testing.assert_allclose(sample.boxes, np.reshape([item.box for item in drawn], (-1, 4)), atol=precision)
        assert [labelled.class_names[number] for number in sample.class_ids] == [item.label for item in drawn]
        assert sample.difficult.tolist() == [item.difficult for item in drawn]
        grey = [image.mean(axis=2) for image in (read_image(sample.image), scene.image)]
        assert np.abs(grey[0] - grey[1]).mean() < 4  # JPEG halves the resolution of colours
    assert len(open_dataset(tmp_path / "set", "test")) == 1


def test_the_same_set_is_left_as_it_is_and_another_replaces_it(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    assert synthesize(folder, train=2, size=SIZE)
    before = (folder / "synth.json").stat().st_mtime_ns
    assert not synthesize(folder, train=2, size=SIZE)
    assert (folder / "synth.json").stat().st_mtime_ns == before
    assert synthesize(folder, train=1, size=SIZE)
    assert len(open_dataset(folder, "train")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_foreign_folder_is_refused_and_replaced_on_demand(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="mine is not empty and was not drawn by ssd-edge: got 1 files.*--overwrite"):
        synthesize(folder, train=1, size=SIZE)
    assert (folder / "thesis.txt").exists()
    synthesize(folder, train=1, size=SIZE, overwrite=True)
    assert not (folder / "thesis.txt").exists()


def test_an_interrupted_run_leaves_things_as_they_were(tmp_path: Path) -> None:
    def stop(done: int, total: int, note: str = "") -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "new", train=5, size=SIZE, progress=stop)
    assert list(tmp_path.iterdir()) == []
    synthesize(tmp_path / "old", train=1, size=SIZE)
    before = digests(tmp_path / "old")
    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "old", train=5, size=SIZE, progress=stop)
    assert digests(tmp_path / "old") == before
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_progress_counts_the_pictures(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    synthesize(
        tmp_path / "a", train=2, val=1, size=SIZE, progress=lambda done, total, note="": seen.append((done, total))
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": 0}, "no negative count, and one picture or more"),
        ({"val": -1}, "no negative count"),
        ({"train": (1 << 30) + 1}, "at most 1073741824 in a split"),
        ({"size": (31, 64)}, "got 31 x 64; wanted sides of 32 to 8192 pixels"),
        ({"seed": -1}, "got seed -1; wanted 0 or more"),
        ({"format": "xml"}, "label format 'xml' is unknown"),
    ],
)
def test_senseless_requests_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    request: dict[str, object] = {"train": 1, "size": SIZE, **change}
    with pytest.raises(InputError, match=message):
        synthesize(tmp_path / "a", **request)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_files_and_the_working_folder_are_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file is a file: wanted a folder"):
        synthesize(tmp_path / "file", train=1, size=SIZE, overwrite=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for folder in (Path(), tmp_path):
        with pytest.raises(InputError, match="is the folder that you work in"):
            synthesize(folder, train=1, size=SIZE, overwrite=True)


def test_a_full_disk_is_named_and_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    with (
        pytest.raises(InputError, match="set cannot be written: got No space left"),
        replaced_folder(folder, marker="m", overwrite=False),
    ):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == [folder]
