from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import LabelledObject, LabelledSet
from ssd_edge.data.find import scan_dataset
from ssd_edge.data.usable import checked_set
from ssd_edge.data.writers import VocWriter
from tests.data.folders import draw, voc_object, write_voc

BCCD = Path(__file__).parents[3] / "shared" / "data" / "bccd"


def read(folder: Path, split: str, class_names: Sequence[str] | None = None) -> LabelledSet:
    return checked_set(scan_dataset(folder, split, class_names))


def test_inclusive_corners_from_1_become_exclusive_corners_from_0(tmp_path: Path) -> None:
    write_voc(tmp_path, voc_object())  # 11 21 30 60: 20 columns and 40 rows
    (sample,) = read(tmp_path, "train").samples
    assert sample.boxes.tolist() == [[10, 20, 30, 60]]
    assert sample.image == tmp_path / "JPEGImages" / "a.jpg"


def test_difficult_is_honoured_and_parts_are_no_objects(tmp_path: Path) -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    write_voc(tmp_path, voc_object(extra="<difficult>1</difficult>" + part) + voc_object("dog"))
    labelled = read(tmp_path, "train")
    assert labelled.class_names == ("cat", "dog")
    assert labelled.samples[0].difficult.tolist() == [True, False]


def test_every_split_numbers_the_classes_alike(tmp_path: Path) -> None:
    write_voc(tmp_path, voc_object("zebra"), split="train", stem="a")
    write_voc(tmp_path, voc_object("ant"), split="val", stem="b")
    assert read(tmp_path, "train").class_names == read(tmp_path, "val").class_names == ("ant", "zebra")
    (tmp_path / "labels.txt").write_text("zebra\nant\n")
    assert read(tmp_path, "val").samples[0].class_ids.tolist() == [1]
    assert read(tmp_path, "val", ["ant", "zebra"]).samples[0].class_ids.tolist() == [0]


def test_lists_of_one_class_are_read_by_their_first_column(tmp_path: Path) -> None:
    write_voc(tmp_path, voc_object(), split="other", stem="a b")
    (tmp_path / "ImageSets" / "Main" / "other.txt").rename(tmp_path / "ImageSets" / "Main" / "cat_train.txt")
    (tmp_path / "ImageSets" / "Main" / "cat_train.txt").write_text("a b -1\n\n")
    assert [sample.image.stem for sample in read(tmp_path, "train").samples] == ["a b"]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (
            voc_object(box="<xmin>nan</xmin><ymin>1</ymin><xmax>3</xmax><ymax>4</ymax>"),
            "object 1 .cat. has no usable box",
        ),
        (voc_object(box="<xmin>9</xmin><ymin>1</ymin><xmax>3</xmax><ymax>4</ymax>"), "got x1 y1 x2 y2 = 8 0 3 4"),
        (voc_object(box="<xmin>9</xmin>"), r"a\.xml: object 1 \(cat\) has no usable <ymin>: got None"),
        (voc_object(box="<xmin>left</xmin>"), r"has no usable <xmin>: got 'left'"),
        (voc_object(" "), r"a\.xml: object 1 has no name"),
        ("<object>", r"a\.xml is not well-formed XML"),
    ],
)
def test_bad_objects_are_named(tmp_path: Path, objects: str, message: str) -> None:
    write_voc(tmp_path, objects)
    with pytest.raises(InputError, match=message):
        read(tmp_path, "train", ["cat"])


def test_unknown_class_is_named(tmp_path: Path) -> None:
    write_voc(tmp_path, voc_object("cow"))
    with pytest.raises(InputError, match=r"a\.xml: object 1 \(cow\) has an unknown class"):
        read(tmp_path, "train", ["cat"])


@pytest.mark.parametrize("declaration", ['<!DOCTYPE a [<!ENTITY b "ha">]>', "<!doctype annotation>"])
def test_entities_are_refused_before_they_expand(tmp_path: Path, declaration: str) -> None:
    annotation = write_voc(tmp_path, "")
    annotation.write_text(declaration + annotation.read_text())
    with pytest.raises(InputError, match=r"a\.xml contains a DOCTYPE or ENTITY declaration"):
        read(tmp_path, "train", ["cat"])


def test_foreign_xml_and_escaping_names_are_refused(tmp_path: Path) -> None:
    annotation = write_voc(tmp_path, "")
    annotation.write_text("<html/>")
    with pytest.raises(InputError, match=r"a\.xml is not a VOC annotation: got <html>"):
        read(tmp_path, "train", ["cat"])
    draw(tmp_path.parent / "secret.jpg")
    (tmp_path / "JPEGImages" / "a.jpg").rename(tmp_path / "JPEGImages" / "b.jpg")
    annotation.write_text("<annotation><filename>../../secret.jpg</filename></annotation>")
    with pytest.raises(InputError, match=r"train\.txt names an image that is missing"):
        read(tmp_path, "train", ["cat"])
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("../../a\n")
    with pytest.raises(InputError, match=r"train\.txt names a file outside its folder"):
        read(tmp_path, "train", ["cat"])


def test_missing_files_and_empty_lists_are_named(tmp_path: Path) -> None:
    annotation = write_voc(tmp_path, "")
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("\n")
    with pytest.raises(InputError, match=r"val\.txt lists no image"):
        read(tmp_path, "val")
    with pytest.raises(InputError, match=r"contains no data set split 'test'"):
        read(tmp_path, "test")
    annotation.unlink()
    assert len(read(tmp_path, "train", ["cat"]).samples[0]) == 0  # labelImg writes none without an object
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(InputError, match=r"train\.txt names an image that is missing"):
        read(tmp_path, "train", ["cat"])


def test_what_is_written_reads_back_to_a_hundredth_of_a_pixel(tmp_path: Path) -> None:
    hard = LabelledObject.of_box("a", (1.237, 2.5, 3.75, 79.991), difficult=True)
    objects = [LabelledObject.of_box("b", (0, 0, 100, 80)), hard]
    writer = VocWriter(tmp_path, ("b", "a"))
    image = draw(writer.image_path("train", "x & <y>"))
    writer.add("train", image, (100, 80), objects)
    writer.close()
    labelled = read(tmp_path, "train")
    (sample,) = labelled.samples
    assert (labelled.class_names, sample.image) == (("b", "a"), image)
    assert (sample.class_ids.tolist(), sample.difficult.tolist()) == ([0, 1], [False, True])
    np.testing.assert_allclose(sample.boxes, [found.box for found in objects], atol=0.0051)
    assert "<xmin>1</xmin>" in (tmp_path / "Annotations" / "x & <y>.xml").read_text()


def test_two_splits_cannot_share_a_picture_name(tmp_path: Path) -> None:
    writer = VocWriter(tmp_path, ("a",))
    writer.image_path("train", "x")
    with pytest.raises(InputError, match="image 'x' is in two splits: got train and val"):
        writer.image_path("val", "x")


@pytest.mark.skipif(not BCCD.is_dir(), reason=f"no blood cell images at {BCCD}")
def test_blood_cells_equal_a_plain_reading_of_their_files() -> None:
    total = 0
    class_names = read(BCCD, "test").class_names
    assert class_names == ("Platelets", "RBC", "WBC")
    for split in ("train", "val", "test"):
        labelled = read(BCCD, split, class_names)
        for sample in labelled.samples:
            text = (BCCD / "Annotations" / f"{sample.image.stem}.xml").read_text()
            corners = [
                [int(value) for value in re.findall(rf"<{key}>(\d+)<", text)]
                for key in ("xmin", "ymin", "xmax", "ymax")
            ]
            np.testing.assert_array_equal(sample.boxes, np.array(corners).T.reshape(-1, 4) - [1, 1, 0, 0])
        total += len(labelled)
    assert total == 364
