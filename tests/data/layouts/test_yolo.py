"""Lists of images and files that describe them: what is looked up where, and what is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.data.find import dataset_splits, open_dataset, usable_split
from tests.data.folders import draw, write_yolo

LISTED = "train: train.txt\nnames: [cat, dog]\n"


def side_by_side(folder: Path, classes: str = "classes.txt") -> Path:
    draw(folder / "a.png")
    (folder / "a.txt").write_text("1 .5 .5 .2 .5\n")
    (folder / classes).write_text("cat\ndog\n")
    return folder


def test_a_list_without_an_image_is_refused(tmp_path: Path) -> None:
    config = write_yolo(tmp_path, "0 .5 .5 .1 .1\n", config=LISTED)
    (tmp_path / "train.txt").write_text("\n  \n")
    with pytest.raises(InputError, match=r"train\.txt lists no image: wanted one image file per line"):
        open_dataset(config, "train")


@pytest.mark.parametrize("name", ["gone.jpg", "x" * 300 + ".jpg", "data/" + "x" * 5000])
def test_names_of_a_list_that_lead_nowhere_are_left_out(tmp_path: Path, name: str) -> None:
    config = write_yolo(tmp_path, "0 .5 .5 .1 .1\n", config=LISTED)
    names = [draw(tmp_path / "images" / "train" / f"{number}.jpg").name for number in range(12)]
    (tmp_path / "train.txt").write_text("".join(f"images/train/{entry}\n" for entry in names) + f"{name}\n")
    usable = usable_split(config, "train")
    assert (usable.images, usable.left_out_images) == (13, 1)
    (finding,) = usable.findings
    assert (finding.fault.kind, finding.fault.file.name) == ("image-missing", "train.txt")


@pytest.mark.parametrize("text", ["", "some words about the set\n", "train\nval\n"])
def test_a_text_that_is_called_like_a_split_but_lists_no_image_is_no_split(tmp_path: Path, text: str) -> None:
    side_by_side(tmp_path)
    (tmp_path / "train.txt").write_text(text)
    (tmp_path / "val.txt").write_bytes(b"\xff\xfe\x00")
    assert dataset_splits(tmp_path) == ("all",)
    assert open_dataset(tmp_path, "all").samples[0].class_ids.tolist() == [1]


def test_lists_beside_the_names_of_classes_are_splits(tmp_path: Path) -> None:
    side_by_side(tmp_path, "obj.names")
    (tmp_path / "val.txt").write_text("a.png\n")
    assert dataset_splits(tmp_path) == ("val",)
    assert open_dataset(tmp_path, "val").class_names == ("cat", "dog")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01", b"", b"# train = a.txt\n"])
def test_a_data_file_that_describes_nothing_is_passed_over(tmp_path: Path, content: bytes) -> None:
    side_by_side(tmp_path)
    (tmp_path / "a.data").write_bytes(content)
    assert dataset_splits(tmp_path) == ("all",)
    (tmp_path / "obj.data").write_text(f"train = list.txt\nnames = {'x' * 300}/classes.txt\n")
    (tmp_path / "list.txt").write_text("a.png\n")
    assert open_dataset(tmp_path, "train").object_count == 1
