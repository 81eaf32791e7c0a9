"""Where tables are looked for, which split one is, and what their labels are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.data.find import dataset_splits, open_dataset
from tests.data.folders import draw

ROWS = "filename,class,xmin,ymin,xmax,ymax\na.png,cat,10,20,30,40\n"
OPEN_IMAGES = "ImageID,LabelName,XMin,XMax,YMin,YMax\na,/m/0,0.1,0.3,0.25,0.5\na,/m/1,0.5,0.6,0.5,0.75\n"


def put(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    draw(path.parent / "a.png")


def test_the_split_is_what_the_file_says_or_else_its_folder(tmp_path: Path) -> None:
    put(tmp_path / "val_boxes.csv", ROWS)
    put(tmp_path / "train" / "boxes.csv", ROWS)
    put(tmp_path / "test2017" / "boxes.csv", ROWS)
    assert set(dataset_splits(tmp_path)) == {"train", "val", "test"}
    (sample,) = open_dataset(tmp_path, "train").samples
    assert sample.image == tmp_path / "train" / "a.png"


@pytest.mark.parametrize("other", [ROWS.encode("utf-16"), b"name,count\nx,1\n", b"\xff" * 9, b""])
def test_other_tables_beside_it_are_passed_over(tmp_path: Path, other: bytes) -> None:
    put(tmp_path / "objects.csv", ROWS)
    (tmp_path / "a.csv").write_bytes(other)
    assert dataset_splits(tmp_path) == ("all",)
    assert open_dataset(tmp_path, "all").object_count == 1


def test_open_images_labels_keep_their_codes_where_nothing_names_them(tmp_path: Path) -> None:
    put(tmp_path / "boxes.csv", OPEN_IMAGES)
    labelled = open_dataset(tmp_path, "all")
    assert labelled.class_names == ("/m/0", "/m/1")
    assert labelled.samples[0].boxes.round(2).tolist() == [[10, 20, 30, 40], [50, 40, 60, 60]]
    (tmp_path / "class-descriptions-boxable.csv").write_text("/m/0,disc\n/m/1\n")
    assert open_dataset(tmp_path, "all").class_names == ("/m/1", "disc")


@pytest.mark.parametrize("content", ["/m/0,café\n".encode("latin-1"), b'"' + b"x" * (1 << 17)])
def test_names_of_classes_that_cannot_be_read_are_refused(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "boxes.csv", OPEN_IMAGES)
    (tmp_path / "class-descriptions.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"class-descriptions\.csv is not"):
        open_dataset(tmp_path, "all")
