"""Folders that this user may not enter: labels and images in them are named, and never counted as absent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.images import list_images
from ssd_edge.data.find import found_splits, open_dataset
from ssd_edge.data.scan import ScannedSet
from tests.data.folders import coco_document, draw, voc_object, write_coco, write_voc, write_yolo
from tests.locked import locked


def scanned(folder: Path, class_names: Sequence[str] | None = None) -> ScannedSet:
    return found_splits(folder)["train"].scan(class_names)


def faults(found: ScannedSet) -> set[tuple[str, bool]]:
    """The kinds of what is wrong, and whether the reason is said."""
    every = [*found.lost_images, *(fault for entry in found.images for fault in entry.faults)]
    return {(fault.kind, "Permission denied" in str(fault)) for fault in every}


def write_csv(folder: Path) -> None:
    draw(folder / "images/a.jpg")
    row = "images/a.jpg,100,80,cat,1,1,20,20"
    (folder / "train.csv").write_text(f"filename,width,height,class,xmin,ymin,xmax,ymax\n{row}\n")


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_images_in_a_locked_folder_are_unreadable_and_not_missing(tmp_path: Path, mode: int) -> None:
    write_coco(tmp_path / "coco", coco_document())
    write_voc(tmp_path / "voc", voc_object())
    write_csv(tmp_path / "csv")
    config = write_yolo(tmp_path / "yolo", "0 0.5 0.5 0.2 0.2\n", config="train: list.txt\nnames: [cat, dog]\n")
    (config.parent / "list.txt").write_text("images/train/a.jpg\n")
    places = {"coco": "images/train", "voc": "JPEGImages", "csv": "images", "yolo": "images/train"}
    assert [faults(scanned(tmp_path / name)) for name in places] == [set()] * 4
    with locked(*(tmp_path / name / inner for name, inner in places.items()), mode=mode):
        for name in places:
            assert faults(scanned(tmp_path / name)) == {("image-unreadable", True)}, name


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_labels_in_a_locked_folder_are_unreadable_and_not_absent(tmp_path: Path, mode: int) -> None:
    write_voc(tmp_path / "voc", voc_object())
    write_yolo(tmp_path / "yolo", "0 0.5 0.5 0.2 0.2\n")
    with locked(tmp_path / "voc/Annotations", tmp_path / "yolo/labels/train", mode=mode):
        assert faults(scanned(tmp_path / "yolo")) == {("label-unreadable", True)}
        assert faults(scanned(tmp_path / "voc", ["cat"])) == {("label-unreadable", True)}


@pytest.mark.parametrize("layout", ["coco", "voc", "yolo", "csv"])
def test_a_locked_folder_that_is_not_part_of_the_set_is_passed_over(tmp_path: Path, layout: str) -> None:
    if layout == "coco":
        write_coco(tmp_path, coco_document(), images="images")
    elif layout == "voc":
        write_voc(tmp_path, voc_object())
    elif layout == "yolo":
        write_yolo(tmp_path, "0 0.5 0.5 0.2 0.2\n")
    else:
        write_csv(tmp_path)
    (tmp_path / "lost+found").mkdir()
    expected = scanned(tmp_path)
    with locked(tmp_path / "lost+found"):
        assert scanned(tmp_path) == expected
    assert expected.images
    assert not faults(expected)


@pytest.mark.parametrize("mode", [0o000, 0o444])
@pytest.mark.parametrize("place", ["voc/ImageSets", "voc/ImageSets/Main", "yolo/labels", "coco/annotations"])
def test_a_locked_folder_that_hides_the_splits_is_named(tmp_path: Path, place: str, mode: int) -> None:
    write_voc(tmp_path / "voc", voc_object())
    write_yolo(tmp_path / "yolo", "0 0.5 0.5 0.2 0.2\n").unlink()
    write_coco(tmp_path / "coco", coco_document())
    assert (tmp_path / place).is_dir()
    with (
        locked(tmp_path / place, mode=mode),
        pytest.raises(InputError, match=rf"no data set split.*{place} cannot be listed .Permission"),
    ):
        open_dataset(tmp_path / place.split("/")[0], "train")


def test_a_split_that_is_not_there_is_not_put_down_to_a_folder_of_the_file_system(tmp_path: Path) -> None:
    write_voc(tmp_path, voc_object())
    (tmp_path / "lost+found").mkdir()
    with locked(tmp_path / "lost+found"), pytest.raises(InputError, match="contains these splits") as refused:
        open_dataset(tmp_path, "holdout")
    assert "cannot be listed" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_locked_annotations_do_not_lack_classes(tmp_path: Path, mode: int) -> None:
    write_voc(tmp_path, voc_object())
    (tmp_path / "labels.txt").unlink(missing_ok=True)
    with (
        locked(tmp_path / "Annotations", mode=mode),
        pytest.raises(InputError, match="Annotations cannot be listed .Permission"),
    ):
        open_dataset(tmp_path, "train")


def test_an_image_that_is_missing_beside_a_locked_folder_is_missing(tmp_path: Path) -> None:
    document = coco_document()
    document["images"].append({"id": 9, "file_name": "gone.jpg"})
    write_coco(tmp_path, document, images="images")
    (tmp_path / "images/lost+found").mkdir()
    with locked(tmp_path / "images/lost+found"):
        assert faults(scanned(tmp_path)) == {("image-missing", False)}


def test_a_disk_with_nothing_but_a_locked_folder_holds_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    with locked(tmp_path / "lost+found"):
        assert found_splits(tmp_path) == {}


@pytest.mark.parametrize("below", [False, True])
def test_a_locked_folder_of_images_is_named(tmp_path: Path, *, below: bool) -> None:
    draw(tmp_path / "images/a.jpg")
    for mode in (0o000, 0o444):
        with (
            locked(tmp_path / "images", mode=mode),
            pytest.raises(InputError, match=r"images cannot be listed .Permission"),
        ):
            list_images(tmp_path / "images", below=below)
    with locked(tmp_path / "images", mode=0o555):
        assert list_images(tmp_path / "images", below=below) == [tmp_path / "images/a.jpg"]
