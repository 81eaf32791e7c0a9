"""The same fault has the same measure in VOC, COCO and YOLO, for the check and for who learns or evaluates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.sample import UNKNOWN_CLASS, LabelledSet
from ssd_edge.core.tolerance import Tolerance
from ssd_edge.data.find import open_dataset, usable_split
from ssd_edge.data.lint.check import lint_dataset
from tests.data.folders import draw

WIDTH, HEIGHT = 100, 80
SOUND = ("cat", 10.0, 20.0, 40.0, 60.0)
Box = tuple[str, float, float, float, float]
Write = Callable[[Path, list[list[Box]]], None]
ANY = Tolerance(max_bad=1.0)


def write_voc(folder: Path, images: list[list[Box]]) -> None:
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (folder / "Annotations").mkdir()
    (folder / "labels.txt").write_text("cat\ndog\n")
    (lists / "train.txt").write_text("".join(f"{number}\n" for number in range(len(images))))
    for number, objects in enumerate(images):
        draw(folder / "JPEGImages" / f"{number}.jpg", WIDTH, HEIGHT)
        nodes = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax>"
            f"<ymax>{y2}</ymax></bndbox></object>"
            for label, x1, y1, x2, y2 in objects
        )
        (folder / "Annotations" / f"{number}.xml").write_text(f"<annotation>{nodes}</annotation>")


def write_coco(folder: Path, images: list[list[Box]]) -> None:
    numbers = {"cat": 1, "dog": 2}
    entries = [
        {"image_id": number, "category_id": numbers.get(label, 9), "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for number, objects in enumerate(images)
        for label, x1, y1, x2, y2 in objects
    ]
    document = {
        "images": [{"id": number, "file_name": f"{number}.jpg"} for number in range(len(images))],
        "annotations": [{"id": number, **entry} for number, entry in enumerate(entries)],
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
    }
    for number in range(len(images)):
        draw(folder / "images" / f"{number}.jpg", WIDTH, HEIGHT)
    (folder / "annotations").mkdir()
    (folder / "annotations" / "instances_train.json").write_text(json.dumps(document))


def write_yolo(folder: Path, images: list[list[Box]]) -> None:
    numbers = {"cat": 0, "dog": 1}
    (folder / "labels").mkdir(parents=True)
    (folder / "data.yaml").write_text("train: images\nnames: [cat, dog]\n")
    for number, objects in enumerate(images):
        draw(folder / "images" / f"{number}.jpg", WIDTH, HEIGHT)
        rows = [
            f"{numbers.get(label, 9)} {(x1 + x2) / 2 / WIDTH} {(y1 + y2) / 2 / HEIGHT} "
            f"{(x2 - x1) / WIDTH} {(y2 - y1) / HEIGHT}\n"
            for label, x1, y1, x2, y2 in objects
        ]
        (folder / "labels" / f"{number}.txt").write_text("".join(rows))


WRITERS: dict[str, Write] = {"voc": write_voc, "coco": write_coco, "yolo": write_yolo}
writers = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def with_fault(faulty: Box, sound: int = 20) -> list[list[Box]]:
    """The faulty object beside a sound one, and more images with a sound one."""
    return [[SOUND, faulty], *([SOUND] for _ in range(sound))]


def kinds(folder: Path) -> list[str]:
    issues = lint_dataset(folder).issues
    return [issue.kind for issue in issues if issue.kind not in ("duplicate", "class-unused", "object-twice")]


def objects_of(labelled: LabelledSet, stem: str) -> list[tuple[int, bool, list[float]]]:
    (sample,) = (sample for sample in labelled.samples if sample.image.stem == stem)
    boxes = np.round(sample.boxes, 2).tolist()
    return list(zip(sample.class_ids.tolist(), sample.difficult.tolist(), boxes, strict=True))


@writers
@pytest.mark.parametrize(
    ("faulty", "kind", "place"),
    [
        (("cow", 50, 10, 70, 30), "class-unknown", (UNKNOWN_CLASS, [50, 10, 70, 30])),
        (("cat", 70, 10, 50, 30), "box-inverted", (0, [50, 10, 70, 30])),
        (("cat", 50, 30, 70, 30), "box-empty", (0, [50, 30, 70, 31])),
        (("cat", 99.9, 10, 99.9, 30), "box-empty", (0, [99, 10, 100, 30])),
    ],
)
def test_an_object_whose_place_is_known_becomes_difficult(
    tmp_path: Path, write: Write, faulty: Box, kind: str, place: tuple[int, list[float]]
) -> None:
    write(tmp_path, with_fault(faulty))
    labelled = open_dataset(tmp_path, "train")
    assert len(labelled) == 21
    assert len(labelled.left_out) == 1
    assert objects_of(labelled, "0") == [(0, False, [10, 20, 40, 60]), (place[0], True, place[1])]
    assert kinds(tmp_path) == [kind]


@writers
@pytest.mark.parametrize(
    ("faulty", "kind"),
    [
        (("cat", float("nan"), 10, 70, 30), "box-not-finite"),
        (("cow", 50, 10, float("inf"), 30), "box-not-finite"),
        (("cat", 150, 10, 170, 30), "box-outside"),
        (("cat", 50, -70, 70, -30), "box-outside"),
    ],
)
def test_an_image_with_an_object_whose_place_is_not_known_is_left_out(
    tmp_path: Path, write: Write, faulty: Box, kind: str
) -> None:
    write(tmp_path, with_fault(faulty))
    usable = usable_split(tmp_path, "train")
    assert {sample.image.stem for sample in usable.labelled.samples} == {str(number) for number in range(1, 21)}
    assert (usable.images, usable.left_out_images) == (21, 1)
    assert (usable.objects, usable.left_out_objects) == (22, 2)  # the sound one of that image too
    assert kinds(tmp_path) == [kind]


@writers
def test_boxes_over_the_edge_are_clipped_and_named_beyond_a_pixel(tmp_path: Path, write: Write) -> None:
    write(tmp_path, [[("cat", 70, 10, 233, 30)], [("dog", 70, 10, 100.4, 30)], [SOUND]])
    usable = usable_split(tmp_path, "train")
    assert objects_of(usable.labelled, "0") == [(0, False, [70, 10, 100, 30])]
    assert objects_of(usable.labelled, "1") == [(1, False, [70, 10, 100, 30])]
    assert usable.labelled.left_out == ()
    assert usable.clipped == 1
    assert [finding.consequence for finding in usable.findings] == ["clipped"]
    assert [issue.kind for issue in lint_dataset(tmp_path).errors] == ["box-over-edge"]
    with pytest.raises(InputError, match="extends beyond its image of 100 x 80"):
        open_dataset(tmp_path, "train", tolerance=Tolerance(strict=True))


@writers
def test_more_than_a_tenth_is_refused_unless_it_is_asked_for(tmp_path: Path, write: Write) -> None:
    write(tmp_path, with_fault(("cow", 50, 10, 70, 30), sound=7))  # 1 of 9 objects
    with pytest.raises(InputError, match=r"1 of 9 objects cannot be used.*class-unknown.*max_bad=0\.12"):
        open_dataset(tmp_path, "train")
    assert len(open_dataset(tmp_path, "train", tolerance=Tolerance(max_bad=0.12))) == 8


@writers
def test_a_class_without_an_object_left_is_refused(tmp_path: Path, write: Write) -> None:
    write(tmp_path, with_fault(("dog", 50, 30, 70, 30)))
    with pytest.raises(InputError, match="has no usable object of class 'dog': got objects that cannot be used"):
        open_dataset(tmp_path, "train", tolerance=ANY)


@writers
def test_a_damaged_image_is_left_out(tmp_path: Path, write: Write) -> None:
    write(tmp_path, with_fault(SOUND))
    image = next(tmp_path.rglob("3.jpg"))
    for content in (b"", b"no image", image.read_bytes()[:-300]):
        image.write_bytes(content)
        usable = usable_split(tmp_path, "train")
        assert (usable.left_out_images, len(usable.labelled)) == (1, 20)
        assert kinds(tmp_path) == ["image-unreadable"]
    image.unlink()
    if write is not write_yolo:  # whose folder then does not speak of it
        assert usable_split(tmp_path, "train").left_out_images == 1
        assert kinds(tmp_path) == ["image-missing"]


@pytest.mark.parametrize("write", [write_voc, write_coco])
def test_fractions_where_pixels_are_wanted_are_refused(tmp_path: Path, write: Write) -> None:
    fractions = [[("cat", 0.1, 0.2, 0.4, 0.9)] for _ in range(12)]
    write(tmp_path / "all", fractions)
    with pytest.raises(InputError, match="the coordinates look like fractions of the images: got 12 of 12"):
        open_dataset(tmp_path / "all", "train", tolerance=ANY)
    write(tmp_path / "one", [fractions[0], *([SOUND] for _ in range(12))])
    usable = usable_split(tmp_path / "one", "train")
    assert [finding.fault.kind for finding in usable.findings] == ["box-in-fractions"]
    assert len(usable.labelled) == 12


def test_pixels_where_fractions_are_wanted_are_refused(tmp_path: Path) -> None:
    write_yolo(tmp_path, [[("cat", 1000, 2000, 4000, 6000)] for _ in range(12)])
    with pytest.raises(InputError, match="the coordinates look like pixels"):
        open_dataset(tmp_path, "train", tolerance=ANY)


def test_corners_in_coco_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corners = [(int(x), int(y), int(x) + 30, int(y) + 30) for x, y in rng.integers(1, 45, (12, 2))]
    write_coco(tmp_path, [[("cat", x1, y1, x1 + x2, y1 + y2)] for x1, y1, x2, y2 in corners])
    with pytest.raises(InputError, match="look like corners, x1 y1 x2 y2.*Subtract x1 from x2"):
        open_dataset(tmp_path, "train", tolerance=ANY)


def test_poses_are_read_as_what_they_are_or_refused(tmp_path: Path) -> None:
    write_yolo(tmp_path, [[SOUND] for _ in range(5)])
    for path in (tmp_path / "labels").iterdir():
        path.write_text("0 0.75 0.2 0.1 0.2 0.72 0.15 0.78 0.28\n")
    with pytest.raises(InputError, match=r"look like poses.*kpt_shape: \[2, 2\]"):
        open_dataset(tmp_path, "train")
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cat, dog]\nkpt_shape: [2, 2]\n")
    assert objects_of(open_dataset(tmp_path, "train"), "0") == [(0, False, [70, 8, 80, 24])]


def test_outlines_whose_points_are_no_keypoints_are_read_as_outlines(tmp_path: Path) -> None:
    """Ten numbers: a box and two points with a mark each, or five points; a mark is 0, 1 or 2."""
    write_yolo(tmp_path, [[SOUND] for _ in range(5)])
    for path in (tmp_path / "labels").iterdir():
        path.write_text("0 0.5 0.5 0.7 0.4 0.6 0.6 0.8 0.7 0.5 0.7\n")
    assert objects_of(open_dataset(tmp_path, "train"), "0") == [(0, False, [50, 32, 80, 56])]


@writers
def test_clipped_boxes_are_counted_in_the_log(tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    one, far = ("dog", 70, 10, 100.4, 30), ("cat", 70, 10, 233, 30)
    for folder, boxes, wanted in (
        ("one", [one], "1 box clipped at the edge, 0 by more than a pixel"),
        ("more", [one, far], "2 boxes clipped at the edge, 1 by more than a pixel"),
    ):
        write(tmp_path / folder, [[SOUND, *boxes], [SOUND]])
        with caplog.at_level("INFO", logger="ssd_edge"):
            assert open_dataset(tmp_path / folder, "train", tolerance=ANY).left_out == ()
        assert wanted in caplog.text
