"""One small labelled set, written in the layouts of many tools by plain code: none of the package's writers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

NAMES = ("disc", "square")
WIDTH, HEIGHT = 120, 96


class Drawn(NamedTuple):
    """An image and its objects: (class number, x1 y1 x2 y2)."""

    stem: str
    pixels: np.ndarray
    objects: tuple[tuple[int, tuple[int, int, int, int]], ...]


def drawn_set(count: int, seed: int = 0) -> list[Drawn]:
    """Draw images that differ, each with a disc or a square or both."""
    rng, images = np.random.default_rng(seed), []
    for number in range(count):
        pixels = rng.integers(60, 200, (HEIGHT, WIDTH, 3), np.uint8)
        objects = []
        for label in {number % 2, int(rng.integers(2))}:
            side = int(rng.integers(24, 40))
            x, y = int(rng.integers(2 + 58 * label, 58 * label + 20)), int(rng.integers(2, HEIGHT - side - 2))
            color = (255, 40, 40) if label else (20, 20, 255)
            if label:
                cv2.rectangle(pixels, (x, y), (x + side - 1, y + side - 1), color, -1)
            else:
                cv2.circle(pixels, (x + side // 2, y + side // 2), side // 2, color, -1)
            objects.append((label, (x, y, x + side, y + side)))
        images.append(Drawn(f"shot_{number:02}", pixels, tuple(objects)))
    return images


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def put_image(path: Path, drawn: Drawn) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), drawn.pixels)


def xml(drawn: Drawn) -> str:
    def box(corners: tuple[int, int, int, int]) -> str:
        x1, y1, x2, y2 = corners
        return f"<xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"

    objects = "".join(
        f"<object><name>{NAMES[label]}</name><bndbox>{box(corners)}</bndbox></object>"
        for label, corners in drawn.objects
    )
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
    return f"<annotation><filename>{drawn.stem}.png</filename>{size}{objects}</annotation>"


def rows(drawn: Drawn, style: str = "box") -> str:
    lines = []
    for label, (x1, y1, x2, y2) in drawn.objects:
        left, top, right, bottom = x1 / WIDTH, y1 / HEIGHT, x2 / WIDTH, y2 / HEIGHT
        box = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        values = {
            "box": box,
            "pose": [*box, box[0], box[1], 2, left, top, 1],
            "obb": [left, top, right, top, right, bottom, left, bottom],
        }[style]
        lines.append(" ".join([str(label), *(f"{value:.8f}" for value in values)]))
    return "\n".join(lines) + "\n"


def coco(images: list[Drawn], name: Callable[[Drawn], str], *, root: bool = False) -> str:
    annotations = [
        {"image_id": number, "category_id": label + 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0}
        for number, drawn in enumerate(images)
        for label, (x1, y1, x2, y2) in drawn.objects
    ]
    categories = [{"id": number, "name": label, "supercategory": "shapes"} for number, label in enumerate(NAMES, 1)]
    categories = [{"id": 0, "name": "shapes", "supercategory": "none"}, *categories] if root else categories
    document = {
        "images": [
            {"id": number, "file_name": name(drawn), "width": WIDTH, "height": HEIGHT}
            for number, drawn in enumerate(images)
        ],
        "annotations": [{"id": number, **entry} for number, entry in enumerate(annotations)],
        "categories": categories,
    }
    return json.dumps(document)


def csv_rows(images: list[Drawn]) -> str:
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for drawn in images:
        for label, corners in drawn.objects:
            box = ",".join(map(str, corners))
            lines.append(f"{drawn.stem}.png,{WIDTH},{HEIGHT},{NAMES[label]},{box}")
    return "\n".join(lines) + "\n"


def open_images_rows(images: list[Drawn]) -> str:
    lines = ["ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf"]
    for drawn in images:
        for label, (x1, y1, x2, y2) in drawn.objects:
            box = f"{x1 / WIDTH:.8f},{x2 / WIDTH:.8f},{y1 / HEIGHT:.8f},{y2 / HEIGHT:.8f}"
            lines.append(f"{drawn.stem},xclick,/m/{label},1,{box},0,0,0")
    return "\n".join(lines) + "\n"


Maker = Callable[[Path, dict[str, list[Drawn]]], None]
"""Writes train and val into a folder; those that know no splits write all as one."""


def _every(splits: dict[str, list[Drawn]]) -> list[Drawn]:
    return [drawn for images in splits.values() for drawn in images]


def voc_devkit(folder: Path, splits: dict[str, list[Drawn]], line: Callable[[str], str] = str) -> None:
    for split, images in splits.items():
        put(folder / "ImageSets" / "Main" / f"{split}.txt", "".join(f"{line(drawn.stem)}\n" for drawn in images))
    for drawn in _every(splits):
        put_image(folder / "JPEGImages" / f"{drawn.stem}.png", drawn)
        put(folder / "Annotations" / f"{drawn.stem}.xml", xml(drawn))


def voc_suffixes(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    voc_devkit(folder, splits, lambda stem: f"{stem}.png")


def voc_absolute(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    voc_devkit(folder, splits, lambda stem: f"{folder.absolute()}/JPEGImages/{stem}.png")


def vott(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    voc_devkit(folder, splits)
    lists = folder / "ImageSets" / "Main"
    for split, images in splits.items():
        (lists / f"{split}.txt").unlink()
        for number, name in enumerate(NAMES):
            flags = [(drawn.stem, 1 if any(label == number for label, _ in drawn.objects) else -1) for drawn in images]
            put(lists / f"{name}_{split}.txt", "".join(f"{stem}.png {flag}\n" for stem, flag in flags))


def roboflow_voc(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    for split, images in splits.items():
        for drawn in images:
            place = folder / split.replace("val", "valid") / drawn.stem
            put_image(place.with_suffix(".png"), drawn)
            put(place.with_suffix(".xml"), xml(drawn))


def kaggle(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    for drawn in _every(splits):
        put_image(folder / "images" / f"{drawn.stem}.png", drawn)
        put(folder / "annotations" / f"{drawn.stem}.xml", xml(drawn))


def labelimg_voc(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    for drawn in _every(splits):
        put_image(folder / f"{drawn.stem}.png", drawn)
        put(folder / f"{drawn.stem}.xml", xml(drawn))


def cvat_voc(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    voc_devkit(folder, {"default": _every(splits)})
    put(folder / "labelmap.txt", "# label:color:parts:actions\nbackground:0,0,0::\ndisc:1,2,3::\nsquare:4,5,6::\n")


def coco_instances(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    for split, images in splits.items():
        put(folder / "annotations" / f"instances_{split}2017.json", coco(images, lambda drawn: f"{drawn.stem}.png"))
        for drawn in images:
            put_image(folder / f"{split}2017" / f"{drawn.stem}.png", drawn)


def roboflow_coco(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    for split, images in splits.items():
        place = folder / split.replace("val", "valid")
        put(place / "_annotations.coco.json", coco(images, lambda drawn: f"{drawn.stem}.png", root=True))
        for drawn in images:
            put_image(place / f"{drawn.stem}.png", drawn)


def label_studio_coco(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    put(folder / "result.json", coco(_every(splits), lambda drawn: f"images/{drawn.stem}.png"))
    for drawn in _every(splits):
        put_image(folder / "images" / f"{drawn.stem}.png", drawn)


def cvat_coco(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    put(folder / "annotations" / "instances_default.json", coco(_every(splits), lambda drawn: f"{drawn.stem}.png"))
    for drawn in _every(splits):
        put_image(folder / "images" / "default" / f"{drawn.stem}.png", drawn)


def ultralytics(folder: Path, splits: dict[str, list[Drawn]], style: str = "box", more: str = "") -> None:
    keys = "".join(f"{split}: images/{split}\n" for split in splits)
    put(folder / "shapes.yaml", f"path: ../datasets/shapes\n{keys}{more}names:\n  0: disc\n  1: square\n")
    for split, images in splits.items():
        for drawn in images:
            put_image(folder / "images" / split / f"{drawn.stem}.png", drawn)
            put(folder / "labels" / split / f"{drawn.stem}.txt", rows(drawn, style))


def yolo_pose(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    ultralytics(folder, splits, "pose", "kpt_shape: [2, 3]\n")


def yolo_obb(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    ultralytics(folder, splits, "obb")


def yolo_lists(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    ultralytics(folder, splits)
    (folder / "shapes.yaml").unlink()
    put(folder / "data.yaml", "train: train.txt\nval: val.txt\nnc: 2\nnames: [disc, square]\n")
    for split, images in splits.items():
        lines = [f"{folder.absolute()}/images/{split}/{drawn.stem}.png\n" for drawn in images]
        put(folder / f"{split}.txt", "".join(lines))


def cvat_yolo(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    put(folder / "obj.data", "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    put(folder / "obj.names", "disc\nsquare\n")
    put(folder / "train.txt", "".join(f"data/obj_train_data/{drawn.stem}.png\n" for drawn in _every(splits)))
    for drawn in _every(splits):
        put_image(folder / "obj_train_data" / f"{drawn.stem}.png", drawn)
        put(folder / "obj_train_data" / f"{drawn.stem}.txt", rows(drawn))


def label_studio_yolo(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    put(folder / "classes.txt", "disc\nsquare\n")
    put(folder / "notes.json", '{"categories": [], "info": {}}')
    for drawn in _every(splits):
        put_image(folder / "images" / f"{drawn.stem}.png", drawn)
        put(folder / "labels" / f"{drawn.stem}.txt", rows(drawn))


def labelimg_yolo(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    put(folder / "classes.txt", "disc\nsquare\n")
    for drawn in _every(splits):
        put_image(folder / f"{drawn.stem}.png", drawn)
        put(folder / f"{drawn.stem}.txt", rows(drawn))


def darknet_folders(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    for split, images in splits.items():
        put(folder / split / "_darknet.labels", "disc\nsquare\n")
        for drawn in images:
            put_image(folder / split / f"{drawn.stem}.png", drawn)
            put(folder / split / f"{drawn.stem}.txt", rows(drawn))


def tensorflow_csv(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    for split, images in splits.items():
        put(folder / "annotations" / f"{split}_labels.csv", csv_rows(images))
        for drawn in images:
            put_image(folder / "images" / split / f"{drawn.stem}.png", drawn)


def open_images(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    put(folder / "class-descriptions-boxable.csv", "/m/0,disc\n/m/1,square\n")
    for split, images in splits.items():
        name = split.replace("val", "validation")
        put(folder / f"{name}-annotations-bbox.csv", open_images_rows(images))
        for drawn in images:
            put_image(folder / name / f"{drawn.stem}.png", drawn)


def inside_another(folder: Path, splits: dict[str, list[Drawn]]) -> None:
    voc_devkit(folder / "VOCdevkit" / "VOC2007", splits)


WITH_SPLITS: tuple[Maker, ...] = (
    voc_devkit,
    voc_suffixes,
    voc_absolute,
    vott,
    roboflow_voc,
    coco_instances,
    roboflow_coco,
    ultralytics,
    yolo_pose,
    yolo_obb,
    yolo_lists,
    darknet_folders,
    tensorflow_csv,
    open_images,
    inside_another,
)
WITHOUT_SPLITS: tuple[Maker, ...] = (
    kaggle,
    labelimg_voc,
    cvat_voc,
    label_studio_coco,
    cvat_coco,
    cvat_yolo,
    label_studio_yolo,
    labelimg_yolo,
)
