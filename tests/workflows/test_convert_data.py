from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from typer.testing import CliRunner

import ssd_edge as ssd
from ssd_edge.cli.app import app
from ssd_edge.core.choices import LabelFormat
from ssd_edge.core.errors import InputError
from ssd_edge.core.label_errors import LabelError
from ssd_edge.data.find import dataset_splits, open_dataset
from tests.data.folders import coco_document, draw, voc_object, write_coco, write_voc, write_yolo
from tests.data.layouts.makers import WITH_SPLITS, WITHOUT_SPLITS, Maker, labelimg_yolo, voc_devkit
from tests.data.layouts.test_layouts import check_equal, named, split_set

FORMATS = list(LabelFormat)
BAD_BOX = "<xmin>30</xmin><ymin>21</ymin><xmax>11</xmax><ymax>60</ymax>"


def state(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("maker", WITH_SPLITS, ids=named)
def test_every_layout_reads_the_same_after_conversion(tmp_path: Path, maker: Maker) -> None:
    splits = split_set()
    maker(tmp_path / "data", splits)
    before = state(tmp_path / "data")
    for form in FORMATS:
        made = ssd.convert_data(tmp_path / "data", to=form, output=tmp_path / form.value, link=True)
        assert made.images == {"train": 12, "val": 4}
        assert made.left_out == ()
        assert set(dataset_splits(made.path)) == {"train", "val"}
        for split, images in splits.items():
            check_equal(open_dataset(made.path, split, made.class_names), images)
    assert state(tmp_path / "data") == before


@pytest.mark.parametrize("maker", WITHOUT_SPLITS, ids=named)
def test_images_that_are_not_divided_become_training_images(tmp_path: Path, maker: Maker) -> None:
    splits = split_set()
    maker(tmp_path / "data", splits)
    made = ssd.convert_data(tmp_path / "data", to="yolo", output=tmp_path / "out", link=True)
    assert made.images == {"train": 16}
    check_equal(open_dataset(made.path, "train"), [*splits["train"], *splits["val"]])


def test_coco_is_what_pycocotools_reads(tmp_path: Path) -> None:
    splits = split_set()
    voc_devkit(tmp_path / "data", splits)
    made = ssd.convert_data(tmp_path / "data", output=tmp_path / "out")
    read = COCO(str(made.path / "annotations" / "instances_val.json"))
    by_stem = {Path(entry["file_name"]).stem: number for number, entry in read.imgs.items()}
    for drawn in splits["val"]:
        found = read.loadAnns(read.getAnnIds(by_stem[drawn.stem]))
        boxes = [(x1, y1, x2 - x1, y2 - y1) for _, (x1, y1, x2, y2) in drawn.objects]
        assert sorted(tuple(one["bbox"]) for one in found) == sorted(boxes)
        assert (made.path / "images" / "val" / f"{drawn.stem}.png").read_bytes() == next(
            path for path in (tmp_path / "data").rglob(f"{drawn.stem}.png")
        ).read_bytes()


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_faulty_is_counted_and_never_background(tmp_path: Path, form: LabelFormat) -> None:
    for number in range(8):
        write_voc(tmp_path / "data", voc_object(), stem=f"good_{number}")
    write_voc(tmp_path / "data", voc_object() + voc_object(box=BAD_BOX), stem="inverted")
    write_voc(tmp_path / "data", voc_object() + voc_object(extra="<difficult>1</difficult>"), stem="difficult")
    write_voc(tmp_path / "data", voc_object(), stem="gone")
    (tmp_path / "data" / "JPEGImages" / "gone.jpg").unlink()
    data, out = str(tmp_path / "data"), str(tmp_path / "out")
    options = ["--to", form.value, "--output", out, "--max-bad", "0.2"]
    result = CliRunner().invoke(app, ["data", "convert", data, *options])
    assert result.exit_code == 0, result.stderr
    made = ssd.convert_data(tmp_path / "data", to=form, output=tmp_path / "again", max_bad=0.2)
    labelled = open_dataset(made.path, "train", made.class_names)
    objects = {sample.image.stem: sample for sample in labelled.samples}
    is_yolo = form is LabelFormat.YOLO
    assert ("inverted" in objects) is not is_yolo
    assert len(objects["difficult"]) == (1 if is_yolo else 2)
    if not is_yolo:
        assert objects["inverted"].difficult.tolist() == [False, True]
        assert objects["difficult"].difficult.tolist() == [False, True]
    whats = " ".join(str(one) for one in made.left_out)
    assert "gone" in whats
    assert "inverted" in whats
    assert ("difficult.jpg: cat: YOLO's format" in whats) is is_yolo
    with pytest.raises(LabelError):
        ssd.convert_data(tmp_path / "data", to=form, output=tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


def test_an_object_of_an_unknown_class_takes_its_image_along(tmp_path: Path) -> None:
    write_yolo(tmp_path / "data", "0 0.5 0.5 0.2 0.2\n7 0.2 0.2 0.1 0.1\n")
    draw(tmp_path / "data" / "images" / "train" / "b.jpg")
    (tmp_path / "data" / "labels" / "train" / "b.txt").write_text("1 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.4 0.4\n")
    made = ssd.convert_data(tmp_path / "data", to="voc", output=tmp_path / "out", max_bad=0.5)
    assert made.images == {"train": 1}
    assert any("a.jpg" in one.what for one in made.left_out)


def test_names_that_would_meet_or_be_misread_stay_apart(tmp_path: Path) -> None:
    rows = {"images/a/x.jpg": 0, "images/b/x.png": 1, "images/b/photo 1.png": 0, "images/b/X.png": 1}
    for number, (name, label) in enumerate(rows.items()):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.full((40, 60, 3), 40 * number, np.uint8))
        text = tmp_path / "data" / name.replace("images", "labels")
        text.parent.mkdir(parents=True, exist_ok=True)
        text.with_suffix(".txt").write_text(f"{label} 0.5 0.5 0.5 0.{number + 2}\n")
    (tmp_path / "data" / "data.yaml").write_text("train: [images/a, images/b]\nnames: ['w/o helmet', 'ö, ü']\n")
    for form in FORMATS:
        made = ssd.convert_data(tmp_path / "data", to=form, output=tmp_path / form.value)
        labelled = open_dataset(made.path, "train")
        assert labelled.class_names == ("w/o helmet", "ö, ü")
        heights = {
            int(cv2.imread(str(one.image))[0, 0, 0]): one.boxes[0, 3] - one.boxes[0, 1] for one in labelled.samples
        }
        assert len(heights) == 4
        for gray, height in heights.items():
            assert height == pytest.approx(40 * (round(gray / 40) + 2) / 10, abs=0.02)


def test_nothing_is_written_into_or_around_the_data(tmp_path: Path) -> None:
    write_coco(tmp_path / "all" / "data", coco_document())
    before = state(tmp_path)
    for output in ("all/data", "all/data/coco", "all", "."):
        with pytest.raises(InputError, match="contains the data set .*, or lies inside it"):
            ssd.convert_data(tmp_path / "all" / "data", output=tmp_path / output)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(InputError, match="not empty"):
        ssd.convert_data(tmp_path / "all" / "data", output=tmp_path / "full")
    with pytest.raises(InputError, match="is a file: wanted a new or empty folder"):
        ssd.convert_data(tmp_path / "all" / "data", output=tmp_path / "full" / "mine.txt")
    (tmp_path / "full" / "mine.txt").unlink()
    assert state(tmp_path) == before


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voc_devkit(tmp_path / "data", split_set())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(InputError, match="No space left"):
        ssd.convert_data(tmp_path / "data", to="voc", output=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_lists_of_a_division_are_splits(tmp_path: Path) -> None:
    labelimg_yolo(tmp_path / "photos", split_set())
    lists = ssd.split_data(tmp_path / "photos", val_fraction=0.25, workspace=tmp_path)
    made = ssd.convert_data(
        tmp_path / "photos", to="yolo", splits=[f"{lists.path}:{part}" for part in lists.lists], workspace=tmp_path
    )
    assert made.path == tmp_path / "converted" / "photos-yolo"
    assert made.images == lists.images


def test_the_annotations_hold_no_path_of_this_machine(tmp_path: Path) -> None:
    voc_devkit(tmp_path / "data", split_set())
    for form in FORMATS:
        made = ssd.convert_data(tmp_path / "data", to=form, output=tmp_path / form.value, link=True)
        texts = [path for path in made.path.rglob("*") if path.suffix in (".txt", ".xml", ".json", ".yaml")]
        assert texts
        assert not any(str(tmp_path) in path.read_text() for path in texts)
    assert json.loads((tmp_path / "coco" / "annotations" / "instances_train.json").read_text())["images"]


def test_two_splits_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    write_voc(tmp_path / "data", voc_object(), stem="a")
    lists = tmp_path / "data/ImageSets/Main"
    (lists / "train.txt").unlink()
    for split in ("val", "valid"):
        (lists / f"{split}.txt").write_text("a\n")
    with pytest.raises(InputError, match=r"two splits would both be written as val.*--split"):
        ssd.convert_data(tmp_path / "data", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    made = ssd.convert_data(tmp_path / "data", splits=["valid"], output=tmp_path / "out")
    assert sum(made.images.values()) == 1


def test_the_list_of_training_and_validation_images_together_is_not_written_too(tmp_path: Path) -> None:
    for stem in "abc":
        write_voc(tmp_path / "data", voc_object(), stem=stem)
    lists = tmp_path / "data/ImageSets/Main"
    for split, stems in (("train", "ab"), ("val", "c"), ("trainval", "abc")):
        (lists / f"{split}.txt").write_text("\n".join(stems) + "\n")
    assert ssd.convert_data(tmp_path / "data", output=tmp_path / "out").images == {"train": 2, "val": 1}
    (lists / "val.txt").unlink()
    assert set(ssd.convert_data(tmp_path / "data", output=tmp_path / "both").images) == {"train", "trainval"}


def test_a_folder_without_labels_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/notes.md").write_text("nothing")
    with pytest.raises(InputError, match="VOC.*COCO.*YOLO"):
        ssd.convert_data(tmp_path / "data", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
