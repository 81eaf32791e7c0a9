"""Every class of fault, planted in a copy of a small drawn set, is found there and nowhere else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.sample import MAX_OBJECTS
from ssd_edge.data.lint.check import LintReport, lint_dataset
from ssd_edge.data.lint.issue import KINDS
from ssd_edge.scenes.signs import SIGN_KINDS
from ssd_edge.workflows.synthesize import synthesize

BCCD = Path(__file__).parents[4] / "shared" / "data" / "bccd"
SPLITS = {"train": 4, "val": 2, "test": 2}
Plant = Callable[[Path], None]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for layout in ("voc", "coco", "yolo"):
        folders[layout] = tmp_path_factory.mktemp("drawn") / layout
        synthesize(folders[layout], format=layout, size=(128, 96), seed=3, **SPLITS)
    return folders


def found(report: LintReport) -> dict[str, int]:
    """How often each kind was found; that eight images do not show all eight signs is no matter."""
    kinds = [fault.kind for fault in report.issues if fault.kind not in ("class-unused", "box-tiny")]
    return {kind: kinds.count(kind) for kind in kinds}


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text, (old, text)
        text = text.replace(old, new, 1)
    path.write_text(text)


def first_box(path: Path, corners: tuple[object, object, object, object]) -> None:
    """Give the first object of a VOC annotation other corners."""
    text = path.read_text()
    for key, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
        start, end = text.index(f"<{key}>") + len(key) + 2, text.index(f"</{key}>")
        text = f"{text[:start]}{value}{text[end:]}"
    path.write_text(text)


def annotation(folder: Path, split: str = "train", number: int = 0) -> Path:
    """The number-th annotation of a split that has an object."""
    stems = (folder / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
    paths = [folder / "Annotations" / f"{stem}.xml" for stem in stems]
    return [path for path in paths if "<object>" in path.read_text()][number]


def picture(folder: Path, split: str = "train", number: int = 0) -> Path:
    return folder / "JPEGImages" / f"{annotation(folder, split, number).stem}.jpg"


def repeat_first_object(folder: Path) -> None:
    path = annotation(folder)
    text = path.read_text()
    start, end = text.index("<object>"), text.index("</object>") + len("</object>")
    path.write_text(text[:end] + text[start:end] + text[end:])


def compress_again(folder: Path) -> None:
    """An image of val is one of train, smaller and compressed again."""
    image = cv2.imread(str(picture(folder)))
    target = picture(folder, "val")
    cv2.imwrite(str(target), image, [cv2.IMWRITE_JPEG_QUALITY, 60])


def list_too(folder: Path, name: str) -> None:
    with (folder / "ImageSets" / "Main" / "train.txt").open("a") as file:
        file.write(f"{name}\n")


PLANTED: list[tuple[str, Plant, str]] = [
    ("label-unreadable", lambda at: annotation(at).write_text("<annotation>"), r"is not well-formed XML"),
    ("label-unreadable", lambda at: annotation(at).write_bytes(b"\xff\xfe\x00"), r"is not text in UTF-8"),
    (
        "label-unreadable",
        lambda at: edit(annotation(at), ("<annotation>", "<!DOCTYPE a><annotation>")),
        r"contains a DOCTYPE",
    ),
    ("name-unsafe", lambda at: list_too(at, "../secret.jpg"), r"outside its folder"),
    ("image-missing", lambda at: picture(at).unlink(), r"names an image that is missing"),
    ("image-unreadable", lambda at: picture(at).write_bytes(b""), r"is empty"),
    ("image-unreadable", lambda at: picture(at).write_bytes(picture(at).read_bytes()[:900]), r"is truncated"),
    ("image-unreadable", lambda at: picture(at).write_text("no image"), r"is not an image"),
    (
        "too-many-objects",
        lambda at: edit(annotation(at), ("<object>", "<object/>" * MAX_OBJECTS + "<object>")),
        r"too many objects for one image: got 1000\d",
    ),
    ("object-malformed", lambda at: edit(annotation(at), ("<xmax>", "<xmax>wide")), r"has no usable <xmax>"),
    ("box-not-finite", lambda at: first_box(annotation(at), (1, 1, "nan", 9)), r"object 1 \(.*\) has no usable box"),
    ("box-not-finite", lambda at: first_box(annotation(at), (1, "-inf", 9, 9)), r"object 1 \(.*\) has no usable box"),
    ("box-inverted", lambda at: first_box(annotation(at), (50, 1, 9, 9)), r"got x1 y1 x2 y2 = 49 0 9 9"),
    ("box-empty", lambda at: first_box(annotation(at), (10, 1, 9, 9)), r"got x1 y1 x2 y2 = 9 0 9 9"),
    ("box-in-fractions", lambda at: first_box(annotation(at), (0.1, 0.2, 0.3, 0.9)), r"looks like fractions"),
    ("box-outside", lambda at: first_box(annotation(at), (200, 10, 300, 50)), r"outside its image of 128 x 96"),
    ("box-over-edge", lambda at: first_box(annotation(at), (90, 10, 140, 50)), r"extends beyond its image"),
    ("object-twice", repeat_first_object, r"object 2 .* has the class and the box of object 1"),
    (
        "size-contradicted",
        lambda at: edit(annotation(at), ("<width>128", "<width>256")),
        r"states 256 x 96, .*128 x 96",
    ),
    ("duplicate", lambda at: shutil.copy(picture(at), picture(at, number=1)), r"has the content of"),
    (
        "leakage",
        lambda at: shutil.copy(picture(at), picture(at, "test")),
        r"split test is the same image as .* train",
    ),
    ("leakage-near", compress_again, r"split val looks like .* of split train"),
    ("unlisted-image", lambda at: shutil.copy(picture(at), at / "JPEGImages" / "new.jpg"), r"new.jpg is in none of"),
    (
        "unused-labels",
        lambda at: shutil.copy(annotation(at), at / "Annotations" / "new.xml"),
        r"new.xml belongs to no image",
    ),
]


def test_a_drawn_set_has_no_fault(drawn: dict[str, Path]) -> None:
    for folder in drawn.values():
        report = lint_dataset(folder)
        assert found(report) == {}
        assert {split: len(labelled) for split, labelled in report.labelled.items()} == SPLITS
        assert set(report.sizes.values()) == {(128, 96)}


@pytest.mark.parametrize(
    ("kind", "plant", "message"), PLANTED, ids=[f"{kind}-{n}" for n, (kind, *_) in enumerate(PLANTED)]
)
def test_a_planted_fault_is_found_and_no_other(
    tmp_path: Path, drawn: dict[str, Path], kind: str, plant: Plant, message: str
) -> None:
    import re

    folder = Path(shutil.copytree(drawn["voc"], tmp_path / "voc"))
    plant(folder)
    report = lint_dataset(folder)
    assert found(report) == {kind: 1}
    (fault,) = (fault for fault in report.issues if fault.kind == kind)
    assert re.search(message, fault.message)
    assert fault.file.is_relative_to(folder)
    assert fault.severity == KINDS[kind][0]
    if kind.startswith(("box", "object")):
        assert fault.place.startswith("object ")
        assert fault.image is not None
        assert fault.image.stem == fault.file.stem


def test_every_kind_of_fault_is_planted_somewhere_here() -> None:
    """The others in tests of their own, below."""
    others = {"class-unknown", "class-unused", "box-tiny", "no-labels", "labels-contradict"}
    assert {kind for kind, *_ in PLANTED} | others == set(KINDS)


def test_an_image_that_is_labelled_twice_and_not_alike(tmp_path: Path, drawn: dict[str, Path]) -> None:
    folder = Path(shutil.copytree(drawn["coco"], tmp_path / "coco"))
    path = folder / "annotations" / "instances_train.json"
    document = json.loads(path.read_text())
    document["images"].append({**document["images"][0], "id": 77})
    path.write_text(json.dumps(document))
    report = lint_dataset(folder)
    assert found(report) == {"labels-contradict": 2, "duplicate": 1}
    assert len(report.labelled["train"]) == SPLITS["train"] - 1


def test_all_faults_are_found_at_once_errors_first(tmp_path: Path, drawn: dict[str, Path]) -> None:
    folder = Path(shutil.copytree(drawn["voc"], tmp_path / "voc"))
    first_box(annotation(folder), (50, 1, 9, 9))
    first_box(annotation(folder, number=1), (90, 10, 140, 50))
    picture(folder, "val").unlink()
    picture(folder, "test").write_bytes(b"")
    report = lint_dataset(folder)
    assert found(report) == {"box-inverted": 1, "image-missing": 1, "image-unreadable": 1, "box-over-edge": 1}
    assert len(report.errors) == 4
    severities = [fault.severity for fault in report.issues]
    assert severities == sorted(severities)


def test_an_unknown_class_names_object_and_classes(tmp_path: Path, drawn: dict[str, Path]) -> None:
    folder = Path(shutil.copytree(drawn["voc"], tmp_path / "voc"))
    (folder / "labels.txt").write_text("\n".join(name for name in SIGN_KINDS[1:]))
    unknown = [fault for fault in lint_dataset(folder).issues if fault.kind == "class-unknown"]
    objects = sum(path.read_text().count(f"<name>{SIGN_KINDS[0]}</name>") for path in folder.glob("Annotations/*.xml"))
    assert len(unknown) == objects > 0
    assert f"({SIGN_KINDS[0]})" in unknown[0].place
    assert SIGN_KINDS[1] in unknown[0].message


def test_classes_without_objects_are_told(drawn: dict[str, Path]) -> None:
    report = lint_dataset(drawn["voc"], class_names=[*SIGN_KINDS, "unicorn"])
    assert any("no object of class unicorn" in fault.message for fault in report.warnings)


def test_a_picture_listed_twice_and_one_in_two_splits(tmp_path: Path, drawn: dict[str, Path]) -> None:
    folder = Path(shutil.copytree(drawn["voc"], tmp_path / "voc"))
    lists = folder / "ImageSets" / "Main"
    stem = lists.joinpath("train.txt").read_text().split()[0]
    for split in ("train", "val"):
        with (lists / f"{split}.txt").open("a") as file:
            file.write(f"{stem}\n")
    assert found(lint_dataset(folder)) == {"duplicate": 1, "leakage": 1}
    assert found(lint_dataset(folder, ["val"])) == {}


def test_tiny_boxes_are_told(tmp_path: Path, drawn: dict[str, Path]) -> None:
    folder = Path(shutil.copytree(drawn["voc"], tmp_path / "voc"))
    before = len(lint_dataset(folder).warnings)
    first_box(annotation(folder), (10, 10, 10, 10))
    report = lint_dataset(folder)
    assert len(report.warnings) == before + 1
    assert any("is 1 x 1 pixels" in fault.message for fault in report.warnings)


def test_coco_faults_name_the_annotation_and_do_not_stop_the_check(tmp_path: Path, drawn: dict[str, Path]) -> None:
    folder = Path(shutil.copytree(drawn["coco"], tmp_path / "coco"))
    path = folder / "annotations" / "instances_train.json"
    document = json.loads(path.read_text())
    first = document["annotations"][0]
    for number, bbox in enumerate([[5, 5, 0, 9], [5, 5, -3, 9], [5, 5, float("nan"), 9], [500, 5, 9, 9]], start=900):
        document["annotations"].append({**first, "id": number, "bbox": bbox})
    document["annotations"] += [{**first, "id": 910, "category_id": 77}, {**first, "id": 911, "image_id": 77}]
    document["annotations"].append({"id": 912, "image_id": first["image_id"], "category_id": 1, "bbox": "x"})
    document["images"].append({"id": 50, "file_name": "../gone.jpg"})
    document["images"].append({"id": 51, "file_name": "gone.jpg"})
    path.write_text(json.dumps(document))
    report = lint_dataset(folder)
    assert found(report) == {
        "box-empty": 1,
        "box-inverted": 1,
        "box-not-finite": 1,
        "box-outside": 1,
        "class-unknown": 1,
        "image-missing": 2,
        "object-malformed": 1,
        "name-unsafe": 1,
    }
    places = {fault.kind: fault.place for fault in report.errors}
    assert places["box-empty"].startswith("annotation 900 (")
    assert places["class-unknown"].startswith("annotation 910 ")


def test_yolo_faults_name_the_line_and_do_not_stop_the_check(tmp_path: Path, drawn: dict[str, Path]) -> None:
    folder = Path(shutil.copytree(drawn["yolo"], tmp_path / "yolo"))
    labels = sorted((folder / "labels" / "train").iterdir())
    labels[0].write_text(
        "0 .5 .5 .2 .2\n99 .5 .5 .1 .1\n0 .5 .5 -.1 .1\n0 nan .5 .1 .1\n0 5 5 1 1\ncat\n0 .2 .2 0 .1\n"
    )
    labels[1].unlink()
    (folder / "labels" / "train" / "orphan.txt").write_text("")
    (folder / "images" / "val" / "extra.jpg").write_bytes(b"junk")
    report = lint_dataset(folder)
    assert found(report) == {
        "class-unknown": 1,
        "box-inverted": 1,
        "box-not-finite": 1,
        "box-outside": 1,
        "object-malformed": 1,
        "box-empty": 1,
        "no-labels": 2,
        "image-unreadable": 1,
        "unused-labels": 1,
    }
    unknown = [fault.place for fault in report.errors if fault.kind == "class-unknown"]
    assert unknown == ["line 2 (class 99, not listed)"]
    assert labels[0].stem not in {sample.image.stem for sample in report.labelled["train"].samples}


def test_without_pixels_files_are_still_looked_at(tmp_path: Path, drawn: dict[str, Path]) -> None:
    folder = Path(shutil.copytree(drawn["voc"], tmp_path / "voc"))
    picture(folder).write_bytes(picture(folder).read_bytes()[:900])
    shutil.copy(picture(folder, "val"), picture(folder, "test"))
    assert found(lint_dataset(folder, pixels=False)) == {"image-unreadable": 1, "leakage": 1}


def test_white_walls_do_not_look_alike(tmp_path: Path, drawn: dict[str, Path]) -> None:
    folder = Path(shutil.copytree(drawn["voc"], tmp_path / "voc"))
    for split, grey in (("train", 250), ("val", 251)):
        cv2.imwrite(str(picture(folder, split)), np.full((96, 128, 3), grey, np.uint8))
    assert found(lint_dataset(folder)) == {}


def test_real_pictures_have_the_faults_that_are_known() -> None:
    if not BCCD.is_dir():
        pytest.skip("../shared/data/bccd is not there")
    report = lint_dataset(BCCD)
    assert not report.errors
    assert sum(fault.kind == "box-tiny" for fault in report.warnings) == 2
