from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.data.find import open_dataset
from ssd_edge.data.formats import LABEL_FORMATS, open_writer
from tests.data.folders import coco_document, voc_object, write_coco, write_voc, write_yolo


def test_voc_is_found(tmp_path: Path) -> None:
    write_voc(tmp_path, voc_object())
    assert open_dataset(tmp_path, "train").origin == f"VOC {tmp_path}, split train"


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("instances_train.json", "images/train"),
        ("instances_train2017.json", "train2017"),
        ("instances_train2017.json", "images/train2017"),
        ("instances_train.json", "images"),
        ("../train/_annotations.coco.json", "train"),
    ],
)
def test_coco_is_found_with_its_images(tmp_path: Path, name: str, images: str) -> None:
    (tmp_path / "annotations").mkdir()
    write_coco(tmp_path, coco_document(), name=name, images=images)
    labelled = open_dataset(tmp_path, "train")
    assert labelled.samples[0].image == tmp_path / images / "a.jpg"


def test_yolo_is_found_by_folder_or_by_its_file(tmp_path: Path) -> None:
    config = write_yolo(tmp_path, "0 .5 .5 .1 .1")
    assert open_dataset(tmp_path, "train").object_count == open_dataset(config, "train").object_count == 1


def test_named_classes_reach_the_reader(tmp_path: Path) -> None:
    write_voc(tmp_path, voc_object("cat"))
    assert open_dataset(tmp_path, "train", ["dog", "cat"]).class_names == ("dog", "cat")


def test_nothing_found_lists_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    write_yolo(tmp_path, "")
    with pytest.raises(InputError) as caught:
        open_dataset(tmp_path, "val")
    message = str(caught.value)
    for part in ("holds no split 'val'", "got data.yaml, images, labels, photos", "ImageSets/Main/val.txt (VOC)"):
        assert part in message
    for part in ("annotations/instances_val*.json", "val/_annotations.coco.json (COCO)", "with the key 'val' (YOLO)"):
        assert part in message


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none is not a folder"):
        open_dataset(tmp_path / "none", "train")


def test_unknown_label_formats_are_refused(tmp_path: Path) -> None:
    assert LABEL_FORMATS == ("voc", "coco", "yolo")
    with pytest.raises(InputError, match="label format 'xml' is unknown: wanted voc, coco, yolo"):
        open_writer("xml", tmp_path, ("a",))
