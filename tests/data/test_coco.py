from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import LabelledObject, LabelledSet
from ssd_edge.data.coco import scan_coco
from ssd_edge.data.writers import CocoWriter
from tests.data.folders import coco_document, draw, write_coco


def read_file(path: Path, images: Path, class_names: Sequence[str] | None = None) -> LabelledSet:
    return scan_coco(path, images, class_names).checked()


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
        ("annotations", {"category_id": 6}, "annotation 1 is of an unknown category: got category_id 6"),
        ("annotations", {"category_id": "90"}, "annotation 1 has a wrong category_id: got '90'"),
        ("annotations", {"image_id": 8}, "annotation 1 belongs to no image: got image_id 8"),
        ("annotations", {"bbox": [1, 2, 3]}, r"annotation 1 has no usable bbox: got \[1, 2, 3\]"),
        ("annotations", {"bbox": None}, "annotation 1 has no usable bbox: got None"),
        ("annotations", {"bbox": [1, 2, -3, 4]}, r"annotation 1 \(toothbrush\) has no usable box"),
        ("annotations", {"bbox": [1, 2, 0, 4]}, r"annotation 1 \(toothbrush\) has no usable box"),
        ("annotations", {"bbox": [float("nan"), 2, 3, 4]}, "has no usable box: got x1 y1 x2 y2 = nan"),
        ("annotations", {"area": float("nan")}, "annotation 1 has no usable area: got nan"),
        ("annotations", {"area": float("inf")}, "annotation 1 has no usable area: got inf"),
        ("annotations", {"area": -1}, "annotation 1 has no usable area: got -1; wanted pixels in the outline"),
        ("annotations", {"area": "12"}, "annotation 1 has no usable area: got '12'"),
        ("annotations", {"iscrowd": "0"}, "annotation 1 has a wrong iscrowd: got '0'; wanted 0 or 1"),
        ("annotations", {"iscrowd": None}, "annotation 1 has a wrong iscrowd: got None"),
        ("annotations", {"area": True}, "annotation 1 has no usable area: got True"),
        ("images", {"file_name": "../a.jpg"}, "names a file outside its folder"),
        ("images", {"file_name": "none.jpg"}, r"has no image: got nothing at .*none\.jpg"),
        ("images", {"file_name": 3}, "image 7 has no file_name: got 3"),
        ("images", {"id": 3}, "image 3 is listed twice"),
        ("images", {"id": True}, "has a wrong id: got True"),
        ("categories", {"name": ""}, "category 90 has no name"),
        ("categories", {"id": 5}, "lists category 5 twice"),
        ("categories", {"name": "airplane"}, "lists a class twice: got airplane"),
    ],
)
def test_faults_are_named(tmp_path: Path, section: str, change: dict[str, Any], message: str) -> None:
    document = coco_document()
    document[section][0].update(change)
    with pytest.raises(InputError, match=rf"instances_train\.json.*{message}"):
        read(tmp_path, document)


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
    with pytest.raises(InputError, match=r"instances_train\.json is not JSON"):
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
