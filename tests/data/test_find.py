from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.data.find import dataset_splits, open_dataset
from ssd_edge.data.writers import open_writer
from tests.data.folders import coco_document, draw, voc_object, write_coco, write_voc, write_yolo


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
    for part in (
        "contains no data set split 'val'",
        "got data.yaml, images, labels, photos",
        "ImageSets/Main/val.txt",
        "annotations/instances_val*.json",
        "with the key 'val'",
        "*.csv",
        "It contains these splits: train.",
    ):
        assert part in message


def test_voc_as_roboflow_exports_it_has_labels_beside_its_pictures(tmp_path: Path) -> None:
    for split, stem, label in (("train", "a", "cat"), ("valid", "b", "ant")):
        draw(tmp_path / split / f"{stem}.jpg")
        objects = voc_object(label)
        (tmp_path / split / f"{stem}.xml").write_text(f"<annotation>{objects}</annotation>")
    assert dataset_splits(tmp_path) == ("train", "valid")
    learnt, judged = open_dataset(tmp_path, "train"), open_dataset(tmp_path, "val")
    assert learnt.class_names == judged.class_names == ("ant", "cat")
    assert judged.samples[0].image == tmp_path / "valid" / "b.jpg"


def test_voc_without_lists_is_one_split(tmp_path: Path) -> None:
    write_voc(tmp_path, voc_object())
    (tmp_path / "ImageSets" / "Main" / "train.txt").unlink()
    assert dataset_splits(tmp_path) == ("all",)
    assert len(open_dataset(tmp_path, "all")) == 1
    with pytest.raises(InputError, match="contains no data set split 'train'.*It contains these splits: all"):
        open_dataset(tmp_path, "train")


def test_the_usual_splits_are_found_and_unions_and_lists_of_one_class_are_not(tmp_path: Path) -> None:
    for split in ("train", "test", "trainval", "other"):
        write_voc(tmp_path, voc_object(), split=split)
    (tmp_path / "ImageSets" / "Main" / "cat_val.txt").write_text("a -1\n")
    assert dataset_splits(tmp_path) == ("train", "test")
    for split in ("train", "test", "trainval"):
        (tmp_path / "ImageSets" / "Main" / f"{split}.txt").unlink()
    assert dataset_splits(tmp_path) == ("other",)


def test_splits_of_coco_and_yolo_are_found(tmp_path: Path) -> None:
    write_coco(tmp_path / "coco", coco_document(), name="instances_val2017.json")
    assert dataset_splits(tmp_path / "coco") == ("val",)
    config = write_yolo(tmp_path / "yolo", "")
    assert dataset_splits(config) == dataset_splits(config.parent) == ("train",)
    with pytest.raises(InputError, match="contains no data set split 'train'"):
        dataset_splits(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none is not a folder"):
        open_dataset(tmp_path / "none", "train")


def test_unknown_label_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="label format 'xml' is unknown: wanted voc, coco, yolo"):
        open_writer("xml", tmp_path, ("a",))


@pytest.mark.parametrize("name", ["annotations/instances_train.json", "ann/result.json", "result.json"])
def test_coco_is_found_by_its_file_too(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    write_coco(tmp_path, coco_document(), name=f"../{name}", images="images")
    (split,) = dataset_splits(path)
    assert dataset_splits(tmp_path) == (split,)
    by_file, by_folder = (open_dataset(place, split) for place in (path, tmp_path))
    assert by_file.digest == by_folder.digest
    assert {sample.image.resolve() for sample in by_file.samples} == {
        (tmp_path / "images" / name).resolve() for name in ("a.jpg", "b.jpg")
    }


def test_json_of_something_else_is_no_data_set(tmp_path: Path) -> None:
    write_coco(tmp_path, coco_document())
    for name, text in (("package.json", '{"name": "x"}'), ("empty.json", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=rf"{name} is not a folder: got a file"):
            open_dataset(tmp_path / name, "train")
