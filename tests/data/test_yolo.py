from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import LabelledObject, LabelledSet
from ssd_edge.data.find import scan_dataset
from ssd_edge.data.usable import checked_set
from ssd_edge.data.writers import YoloWriter
from ssd_edge.data.yolo import label_path
from tests.data.folders import draw, write_yolo


def read(config: Path, split: str, class_names: Sequence[str] | None = None) -> LabelledSet:
    return checked_set(scan_dataset(config, split, class_names))


def test_fractions_become_pixels(tmp_path: Path) -> None:
    config = write_yolo(tmp_path, "1 0.5 0.5 0.2 0.5\n\n0 0.1 0.1 0.2 0.2\n")  # of 100 x 80
    labelled = read(config, "train")
    (sample,) = labelled.samples
    assert labelled.class_names == ("cat", "dog")
    np.testing.assert_allclose(sample.boxes, [[40, 20, 60, 60], [0, 0, 20, 16]], atol=1e-4)
    assert sample.class_ids.tolist() == [1, 0]
    assert read(config, "train", ["dog", "cat"]).samples[0].class_ids.tolist() == [0, 1]


def test_a_picture_without_a_label_file_has_no_objects(tmp_path: Path) -> None:
    config = write_yolo(tmp_path, "")
    (tmp_path / "labels" / "train" / "a.txt").unlink()
    assert len(read(config, "train").samples[0]) == 0


def test_pictures_in_folders_below_belong_to_the_split(tmp_path: Path) -> None:
    config = write_yolo(tmp_path, "0 .5 .5 .1 .1")
    draw(tmp_path / "images" / "train" / "monday" / "b.jpg")
    draw(tmp_path / "images" / "train" / ".trash" / "c.jpg")
    labels = tmp_path / "labels" / "train" / "monday" / "b.txt"
    labels.parent.mkdir()
    labels.write_text("1 .5 .5 .2 .5\n")
    labelled = read(config, "train")
    assert [sample.image.name for sample in labelled.samples] == ["a.jpg", "b.jpg"]
    assert [sample.class_ids.tolist() for sample in labelled.samples] == [[0], [1]]


def test_splits_may_be_lists_of_files(tmp_path: Path) -> None:
    config = write_yolo(tmp_path, "0 .5 .5 .1 .1", config="train: [train.txt]\nnames: [cat]\n")
    (tmp_path / "train.txt").write_text("./images/train/a.jpg\n")
    assert len(read(config, "train").samples[0]) == 1
    (tmp_path / "train.txt").write_text("images/train/none.jpg\n")
    with pytest.raises(InputError, match=r"train\.txt names an image that is missing"):
        read(config, "train")


def test_the_last_folder_of_images_becomes_labels() -> None:
    assert label_path(Path("images/x/images/train/a.b.jpg")) == Path("images/x/labels/train/a.b.txt")
    assert label_path(Path("train/a.jpg")) == Path("train/a.txt")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2 .5 .5 .1 .1", r"line 1 \(class 2, not listed\) has an unknown class.*wanted cat, dog"),
        ("-1 .5 .5 .1 .1", r"line 1 \(class -1, not listed\) has an unknown class"),
        ("0 .5 .5 .1", "line 1 is not an object"),
        ("0 .5 .5 .1 .1 .9", "line 1 is not an object"),
        ("cat .5 .5 .1 .1", r"line 1 \(class 'cat', not listed\) has an unknown class"),
        ("0 1.5 .4 .2 .2", r"line 1 \(cat\) lies outside its image of 100 x 80"),
        ("0 nan .5 .1 .1", r"line 1 \(cat\) has no usable box: got x1 y1 x2 y2 = nan"),
        ("0 inf .5 .1 .1", r"line 1 \(cat\) has no usable box: got x1 y1 x2 y2 = inf"),
        ("0 .5 .5 -.1 .1", r"line 1 \(cat\) has no usable box: got x1 y1 x2 y2 = 55 36 45 44"),
        ("0 .1 .1 .2 .1 .2 1.3", r"line 1 \(cat\) extends beyond its image of 100 x 80"),
        ("0 .5 .5 0 .1", r"line 1 \(cat\) has no usable box"),
    ],
)
def test_faults_are_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"a\.txt: {message}"):
        read(write_yolo(tmp_path, row), "train")


def test_missing_splits_and_escaping_folders_are_refused(tmp_path: Path) -> None:
    config = write_yolo(tmp_path, "")
    with pytest.raises(InputError, match=r"contains no data set split 'val'.*It contains these splits: train"):
        read(config, "val")
    config.write_text("train: ../../elsewhere/images\nnames: [cat]\n")
    with pytest.raises(InputError, match=r"data\.yaml names a file outside its folder"):
        read(config, "train")


@pytest.mark.parametrize("entry", ["../train/images", "../set/train/images"])
def test_what_roboflow_writes_is_understood(tmp_path: Path, entry: str) -> None:
    """Its data.yaml leads one folder too far up; where something is there, the path means what it says."""
    config = write_yolo(tmp_path / "set", "", config=f"train: {entry}\nval: ../valid/images\nnames: [cat, dog]\n")
    image = draw(tmp_path / "set" / "train" / "images" / "b.jpg")
    labels = tmp_path / "set" / "train" / "labels" / "b.txt"
    labels.parent.mkdir()
    labels.write_text("1 .5 .5 .2 .5\n")
    (sample,) = read(config, "train").samples
    assert sample.image.resolve() == image.resolve()
    np.testing.assert_allclose(sample.boxes, [[40, 20, 60, 60]], atol=1e-4)


def test_an_outline_gives_the_box_around_it(tmp_path: Path) -> None:
    labelled = read(write_yolo(tmp_path, "0 .1 .5 .3 .25 .2 .75\n"), "train")
    np.testing.assert_allclose(labelled.samples[0].boxes, [[10, 20, 30, 60]], atol=1e-4)


def test_what_is_written_reads_back_to_a_ten_thousandth_of_a_pixel(tmp_path: Path) -> None:
    objects = [
        LabelledObject.of_box("it's, b", (0, 0, 100, 80)),
        LabelledObject.of_box("a", (1.5, 2.25, 33, 79)),
        LabelledObject.of_box("a", (1, 1, 9, 9), difficult=True),
    ]
    writer = YoloWriter(tmp_path, ("it's, b", "a"))
    writer.add("train", draw(writer.image_path("train", "x")), (100, 80), objects)
    writer.close()
    labelled = read(tmp_path / "data.yaml", "train")
    assert labelled.class_names == ("it's, b", "a")
    np.testing.assert_allclose(labelled.samples[0].boxes, [found.box for found in objects[:2]], atol=1e-4)
