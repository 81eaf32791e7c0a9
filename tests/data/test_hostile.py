"""Labels made to exhaust, to escape or to confuse are refused by name, soon and without much memory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import MAX_OBJECTS
from ssd_edge.data.coco import scan_coco
from ssd_edge.data.find import open_dataset, usable_split
from ssd_edge.data.label_files import checked_class_names, inner_path
from ssd_edge.data.lint.check import lint_dataset
from ssd_edge.data.voc import read_voc_annotation
from tests.data.folders import coco_document, voc_object, write_coco, write_voc, write_yolo

LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<annotation><object><name>&c;</name></object></annotation>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-7"])
def test_a_billion_laughs_never_expand(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(LAUGHS.encode(encoding))
    with pytest.raises(InputError, match=r"a\.xml (contains a DOCTYPE|is not text in UTF-8|is not well-formed)"):
        read_voc_annotation(path)


@pytest.mark.parametrize("count", [MAX_OBJECTS + 1])
def test_more_objects_than_a_picture_can_hold_are_refused(tmp_path: Path, count: int) -> None:
    message = f"too many objects for one image: got {count}; wanted at most {MAX_OBJECTS}"
    write_voc(tmp_path / "voc", "<object/>" * count)
    with pytest.raises(InputError, match=message):
        open_dataset(tmp_path / "voc", "train", ["cat"])
    write_yolo(tmp_path / "yolo", "0 .5 .5 .1 .1\n" * count)
    with pytest.raises(InputError, match=message):
        open_dataset(tmp_path / "yolo", "train")
    document = coco_document()
    document["annotations"] = [{"id": 1, "image_id": 7, "category_id": 5, "bbox": [0, 0, 1, 1]}] * count
    write_coco(tmp_path / "coco", document)
    with pytest.raises(InputError, match=message):
        open_dataset(tmp_path / "coco", "train")


@pytest.mark.parametrize("name", ["labels/train/a.txt", "data.yaml"])
def test_a_file_of_a_billion_boxes_is_refused_unread(tmp_path: Path, name: str) -> None:
    config = write_yolo(tmp_path, "")
    with (tmp_path / name).open("wb") as file:
        file.truncate(30 << 30)  # sparse: takes no room
    with pytest.raises(InputError, match="is too large for a label file: got 32212254720 bytes"):
        open_dataset(config, "train")


def test_an_instances_file_of_a_billion_boxes_is_refused_unread(tmp_path: Path) -> None:
    path = write_coco(tmp_path, coco_document())
    with path.open("wb") as file:
        file.truncate(100 << 30)
    with pytest.raises(InputError, match=r"instances_train\.json is too large for a label file"):
        scan_coco(path, tmp_path)


def test_devices_and_pipes_are_no_label_files(tmp_path: Path) -> None:
    config = write_yolo(tmp_path, "")
    labels = tmp_path / "labels" / "train" / "a.txt"
    labels.unlink()
    labels.symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"a\.txt is not a regular file: got a device, pipe or socket"):
        open_dataset(config, "train")
    labels.unlink()
    os.mkfifo(labels)
    with pytest.raises(InputError, match=r"a\.txt is not a regular file"):
        open_dataset(config, "train")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "9" * 400, "1e39"])
def test_corners_that_are_no_numbers_are_named(tmp_path: Path, value: str) -> None:
    box = f"<xmin>1</xmin><ymin>1</ymin><xmax>{value}</xmax><ymax>4</ymax>"
    write_voc(tmp_path, voc_object(box=box))
    with pytest.raises(InputError, match=r"a\.xml: object 1 \(cat\) has no usable box"):
        open_dataset(tmp_path, "train")


@pytest.mark.parametrize("bbox", ["[1, 2, -3, 4]", "[NaN, 2, 3, 4]", "[1, 2, 3, 1e999]", f"[1, 2, 3, {'9' * 400}]"])
def test_coco_boxes_that_are_none_are_named(tmp_path: Path, bbox: str) -> None:
    path = write_coco(tmp_path, coco_document())
    path.write_text(json.dumps(coco_document()).replace("[10.5, 20, 30, 40.25]", bbox))
    with pytest.raises(InputError, match=r"instances_train\.json: annotation 1.* has no usable b"):
        open_dataset(tmp_path, "train")


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/passwd", "C:\\\\a.jpg", "a\\u0000b.jpg", "", "x/../../a.jpg"])
def test_file_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    path = write_coco(tmp_path, coco_document())
    path.write_text(json.dumps(coco_document()).replace('"a.jpg"', f'"{name}"'))
    with pytest.raises(InputError, match=r"instances_train\.json names a file outside its folder"):
        open_dataset(tmp_path, "train")


@pytest.mark.parametrize("line", ["a" * 5000, "a" * 300, "a" * 300 + " 1", "a/" * 3000 + "b -1"])
def test_a_name_longer_than_any_file_system_takes_is_named(tmp_path: Path, line: str) -> None:
    write_voc(tmp_path, voc_object(), stem="a")
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text(line)
    with pytest.raises(InputError, match=r"1 of 1 image cannot be used.*names an image that is missing: got .{,300};"):
        open_dataset(tmp_path, "train", ["cat"])


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "y/" * 3000 + "b.jpg"])
def test_a_name_in_coco_longer_than_any_file_system_takes_is_missing(tmp_path: Path, name: str) -> None:
    document = coco_document()
    document["images"][1]["file_name"] = name
    write_coco(tmp_path, document)
    usable = usable_split(tmp_path, "train")
    assert (usable.images, usable.left_out_images) == (2, 1)
    assert [finding.fault.kind for finding in usable.findings] == ["image-missing"]


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, '{"images": [' + "9" * 5000 + "]}"])
def test_nesting_and_numbers_without_end_are_no_json(tmp_path: Path, text: str) -> None:
    path = write_coco(tmp_path, coco_document())
    path.write_text(text)
    with pytest.raises(InputError, match=r"instances_train\.json (is not valid JSON|has no list 'images')"):
        open_dataset(tmp_path, "train")


def test_deeply_nested_xml_is_no_annotation(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<a>" * 200_000 + "</a>" * 200_000)
    with pytest.raises(InputError, match=r"a\.xml is not (well-formed XML|a VOC annotation)"):
        read_voc_annotation(path)


@pytest.mark.parametrize(("encoding", "name"), [("latin-1", "é"), ("utf-16", "é"), ("shift-jis", "猫")])
def test_other_encodings_are_named(tmp_path: Path, encoding: str, name: str) -> None:
    config = write_yolo(tmp_path, "")
    config.write_bytes(f"train: images/train\nnames: [{name}]\n".encode(encoding))
    with pytest.raises(InputError, match=r"data\.yaml is not text in UTF-8"):
        open_dataset(config, "train")


def test_class_names_that_cannot_be_printed_are_refused() -> None:
    for name in ("a\0b", "a\nb", "\x1b[31mred"):
        with pytest.raises(InputError, match="lists a class name with characters that cannot be printed"):
            checked_class_names(["fine", name], origin=Path("labels.txt"))


def test_nul_in_names_is_refused() -> None:
    with pytest.raises(InputError, match="names a file outside its folder"):
        inner_path(Path("data"), "a\0.jpg", origin=Path("list.txt"))


def test_lists_without_end_are_refused_with_how_to_raise_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ssd_edge.core.limits import VARIABLE
    from ssd_edge.data.label_files import read_label_lines

    monkeypatch.setenv(VARIABLE, "lines=10,classes=5,name=8")
    path = tmp_path / "train.txt"
    path.write_text("a\n" * 11)
    with pytest.raises(InputError, match=r"has too many lines: got 11; wanted at most 10\. .*--limit lines=11"):
        read_label_lines(path)
    with pytest.raises(InputError, match=r"lists too many classes: got 6; wanted at most 5\. .*--limit classes=6"):
        checked_class_names(list("abcdef"), origin=path)
    with pytest.raises(InputError, match=r"characters in a class name: got 9.*--limit name=9"):
        checked_class_names(["a" * 9], origin=path)


def test_a_data_yaml_of_thousands_of_names_is_read_at_once(tmp_path: Path) -> None:
    import time

    names = ", ".join(f"c{number}" for number in range(9_000))
    config = write_yolo(tmp_path, "", config=f"train: images/train\nnames: [{names}]\n")
    began = time.process_time()
    assert len(open_dataset(config, "train").class_names) == 9_000
    assert time.process_time() - began < 5


@pytest.mark.parametrize("name", ["z" * 300 + "/b", "y/" * 3000 + "b"])
def test_folders_that_no_folder_can_be_called_are_checked_like_others(tmp_path: Path, name: str) -> None:
    write_voc(tmp_path / "voc", voc_object())
    (tmp_path / "voc" / "ImageSets" / "Main" / "train.txt").write_text(f"a\n{name}\n")
    assert "image-missing" in {issue.kind for issue in lint_dataset(tmp_path / "voc").issues}
    config = write_yolo(tmp_path / "yolo", "", config=f"train: {name}\nnames: [cat, dog]\n")
    with pytest.raises(InputError, match="File name too long"):
        open_dataset(config, "train")
