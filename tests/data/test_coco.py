from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import LabelledObject, LabelledSet
from ssd_edge.data.coco import scan_coco
from ssd_edge.data.usable import checked_set
from ssd_edge.data.writers import CocoWriter
from tests.data.folders import coco_document, draw, write_coco


def read_file(path: Path, images: Path, class_names: Sequence[str] | None = None) -> LabelledSet:
    return checked_set(scan_coco(path, images, class_names))


def read(folder: Path, document: Any, class_names: list[str] | None = None) -> LabelledSet:
    return read_file(write_coco(folder, document), folder / "images" / "train", class_names)


def test_gaps_in_category_ids_close_in_the_order_of_ids(tmp_path: Path) -> None:
    labelled = read(tmp_path, coco_document())
    assert labelled.class_names == ("airplane", "toothbrush")
    first, second = labelled.samples
    assert first.boxes.tolist() == [[10.5, 20, 40.5, 60.25], [0, 0, 100, 80]]
    assert first.class_ids.tolist() == [1, 0]
    assert first.difficult.tolist() == [False, True]  # the crowd
    assert (second.image.name, len(second)) == ("b.jpg", 0)


def test_the_area_is_the_outlines_and_without_one_the_boxs(tmp_path: Path) -> None:
    document = coco_document()
    document["annotations"][0]["area"] = 1024.0000001  # float32 would round it to 32²
    assert read(tmp_path, document).samples[0].areas.tolist() == [1024.0000001, 8000]


def test_named_classes_settle_the_numbers(tmp_path: Path) -> None:
    labelled = read(tmp_path, coco_document(), ["toothbrush", "airplane", "bear"])
    assert labelled.samples[0].class_ids.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("annotations", {"category_id": 6}, r"annotation 1 \(category 6, not listed\) has an unknown class"),
        ("annotations", {"category_id": "90"}, r"annotation 1 \(category '90', not listed\) has an unknown class"),
        ("annotations", {"image_id": 8}, "annotation 1 belongs to an image that is not listed: got image_id 8"),
        ("annotations", {"bbox": [1, 2, 3]}, r"annotation 1 has no usable bbox: got \[1, 2, 3\]"),
        ("annotations", {"bbox": None}, "annotation 1 has no usable bbox: got None"),
        ("annotations", {"bbox": [1, 2, -3, 4]}, r"annotation 1 \(toothbrush\) has no usable box"),
        ("annotations", {"bbox": [1, 2, 0, 4]}, r"annotation 1 \(toothbrush\) has no usable box"),
        ("annotations", {"bbox": [float("nan"), 2, 3, 4]}, "has no usable box: got x1 y1 x2 y2 = nan"),
        ("images", {"file_name": "../a.jpg"}, "names a file outside its folder"),
        ("images", {"file_name": "none.jpg"}, r"names an image that is missing: got nothing at .*none\.jpg"),
        ("images", {"file_name": 3}, "image 7 has no file_name: got 3"),
        ("images", {"id": 3}, "image 3 is listed twice"),
        ("images", {"id": True}, "image True has an invalid id"),
        ("categories", {"name": ""}, r"annotation 1 \(category 90, not listed\) has an unknown class"),
        ("categories", {"id": 5}, "uses the category id 5 twice"),
        ("categories", {"name": "airplane"}, "lists a class twice: got airplane"),
    ],
)
def test_faults_are_named(tmp_path: Path, section: str, change: dict[str, Any], message: str) -> None:
    document = coco_document()
    document[section][0].update(change)
    with pytest.raises(InputError, match=rf"instances_train\.json.*{message}"):
        read(tmp_path, document)


@pytest.mark.parametrize("area", [float("nan"), float("inf"), -1, "12", True, None])
def test_an_area_that_is_none_is_the_boxs(tmp_path: Path, area: object) -> None:
    document = coco_document()
    document["annotations"][0]["area"] = area
    assert read(tmp_path, document).samples[0].areas[0] == 30 * 40.25


@pytest.mark.parametrize(("crowd", "is_one"), [(1, True), (True, True), ("1", True), (0, False), (None, False)])
def test_what_is_not_plainly_one_object_is_a_crowd(tmp_path: Path, crowd: object, is_one: bool) -> None:
    document = coco_document()
    document["annotations"][0]["iscrowd"] = crowd
    assert bool(read(tmp_path, document).samples[0].difficult[0]) is is_one


def test_a_category_that_only_names_a_group_is_none(tmp_path: Path) -> None:
    document = coco_document()
    for category in document["categories"]:
        category["supercategory"] = "things"
    document["categories"].append({"id": 0, "name": "things", "supercategory": "none"})
    assert read(tmp_path, document).class_names == ("airplane", "toothbrush")
    document["annotations"][0]["category_id"] = 0
    assert read(tmp_path, document).class_names == ("things", "airplane", "toothbrush")


def test_an_outline_stands_for_a_missing_box(tmp_path: Path) -> None:
    document = coco_document()
    document["annotations"][0].update(bbox=[], segmentation=[[10, 20, 30, 20, 30, 60], [5, 25, 6, 26, 7, 27]])
    assert read(tmp_path, document).samples[0].boxes[0].tolist() == [5, 20, 30, 60]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "has no list 'images'"),
        ({"images": [1]}, "has no list 'images'"),
        ({"images": [], "annotations": [], "categories": []}, "lists no image"),
    ],
)
def test_foreign_documents_are_refused(tmp_path: Path, document: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, document)


def test_text_that_is_no_json_is_refused(tmp_path: Path) -> None:
    path = write_coco(tmp_path, {})
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"instances_train\.json is not valid JSON"):
        read_file(path, tmp_path)


def test_what_is_written_reads_back_exactly(tmp_path: Path) -> None:
    objects = [LabelledObject.of_box("b", (0.125, 0, 100, 80)), LabelledObject("a", (1, 2.5, 3.75, 79), 123.5, True)]
    writer = CocoWriter(tmp_path, ("b", "a"))
    for stem in ("x", "y"):
        writer.add("val", draw(writer.image_path("val", stem)), (100, 80), objects if stem == "y" else [])
    writer.close()
    labelled = read_file(tmp_path / "annotations" / "instances_val.json", tmp_path / "images" / "val")
    assert labelled.class_names == ("b", "a")
    assert [len(sample) for sample in labelled.samples] == [0, 2]
    np.testing.assert_array_equal(labelled.samples[1].boxes, [found.box for found in objects])
    assert labelled.samples[1].difficult.tolist() == [False, True]
    assert labelled.samples[1].areas.tolist() == [99.875 * 80, 123.5]
