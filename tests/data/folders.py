"""Small data sets, written by hand: independent of the package's own writers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

OBJECT = "<object><name>{name}</name>{extra}<bndbox>{box}</bndbox></object>"
BOX = "<xmin>11</xmin><ymin>21</ymin><xmax>30</xmax><ymax>60</ymax>"


def draw(path: Path, width: int = 100, height: int = 80) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))
    return path


def voc_object(name: str = "cat", box: str = BOX, extra: str = "") -> str:
    return OBJECT.format(name=name, box=box, extra=extra)


def write_voc(folder: Path, objects: str, *, split: str = "train", stem: str = "a") -> Path:
    """One image with these <object> elements; returns the annotation file."""
    draw(folder / "JPEGImages" / f"{stem}.jpg")
    annotation = folder / "Annotations" / f"{stem}.xml"
    annotation.parent.mkdir(exist_ok=True)
    annotation.write_text(f"<annotation><filename>{stem}.jpg</filename>{objects}</annotation>", encoding="utf-8")
    listed = folder / "ImageSets" / "Main" / f"{split}.txt"
    listed.parent.mkdir(parents=True, exist_ok=True)
    with listed.open("a", encoding="utf-8") as file:
        file.write(f"{stem}\n")
    return annotation


def coco_document() -> dict[str, Any]:
    """Two images; category ids with gaps, out of order; one crowd."""
    return {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 3, "file_name": "b.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 90, "bbox": [10.5, 20, 30, 40.25], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 5, "bbox": [0, 0, 100, 80], "iscrowd": 1},
        ],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 5, "name": "airplane"}],
    }


def write_coco(
    folder: Path, document: Any, *, name: str = "instances_train.json", images: str = "images/train"
) -> Path:
    draw(folder / images / "a.jpg")
    draw(folder / images / "b.jpg")
    path = folder / "annotations" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def write_yolo(folder: Path, rows: str, *, config: str = "train: images/train\nnames: [cat, dog]\n") -> Path:
    """One image of 100 x 80 with these rows; returns data.yaml."""
    draw(folder / "images" / "train" / "a.jpg")
    labels = folder / "labels" / "train" / "a.txt"
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.write_text(rows, encoding="utf-8")
    path = folder / "data.yaml"
    path.write_text(config, encoding="utf-8")
    return path
