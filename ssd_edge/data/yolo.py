"""YOLO folders: data.yaml, images/<split>/*.jpg and labels/<split>/*.txt with ``class cx cy w h`` in 0..1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside
from ssd_edge.core.images import list_images
from ssd_edge.data.image_size import image_size
from ssd_edge.data.label_files import existing_image, inner_path, read_label_text
from ssd_edge.data.sample import LabelledObject, LabelledSet, Sample
from ssd_edge.data.yolo_yaml import YoloConfig, read_yolo_yaml


def read_yolo(yaml_path: Path, split: str, class_names: Sequence[str] | None = None) -> LabelledSet:
    """Return the pictures of a split, with their objects.

    The labels of ``…/images/…/a.jpg`` lie in ``…/labels/…/a.txt``; a picture without that file has no objects, as the
    format defines it.

    Args:
        yaml_path: the data.yaml.
        split: ``train``, ``val`` or ``test``.
        class_names: the classes in the order of their numbers here; by default those of data.yaml.

    Raises:
        InputError: data.yaml lacks the split, a picture is missing, or a line is no object of a known class with a
            usable box; the message names the file and the object.
    """
    config = read_yolo_yaml(yaml_path)
    if split not in config.splits:
        raise InputError(
            f"{yaml_path} has no split {split!r}", got=", ".join(config.splits) or "none", wanted=f"{split}: images/…"
        )
    images = [image for entry in config.splits[split] for image in _images_of(yaml_path, config, entry)]
    names = tuple(class_names) if class_names is not None else config.class_names
    samples = tuple(_read_sample(image, config.class_names, names) for image in images)
    return LabelledSet(names, samples, f"YOLO {yaml_path}, split {split}")


class YoloWriter:
    """Writes a YOLO folder. Difficult objects are left out: the format cannot mark them."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, tuple(class_names)
        self._splits: list[str] = []

    def image_path(self, split: str, stem: str) -> Path:
        """Return images/<split>/<stem>.jpg."""
        return self._folder / "images" / split / f"{stem}.jpg"

    def add(self, split: str, image: Path, size: tuple[int, int], objects: Sequence[LabelledObject]) -> None:
        """Write labels/<split>/<stem>.txt, an empty one where there is no object."""
        if split not in self._splits:
            self._splits.append(split)
        rows = [self._row(found, size) for found in objects if not found.difficult]
        with written_beside(self._folder / "labels" / split / f"{image.stem}.txt") as partial:
            partial.write_text("".join(rows), encoding="utf-8")

    def close(self) -> None:
        """Write data.yaml."""
        lines = [f"{split}: images/{split}" for split in self._splits]
        lines += [f"nc: {len(self._class_names)}", f"names: {json.dumps(self._class_names, ensure_ascii=False)}"]
        with written_beside(self._folder / "data.yaml") as partial:
            partial.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _row(self, found: LabelledObject, size: tuple[int, int]) -> str:
        (x1, y1, x2, y2), (width, height) = found.box, size
        unit = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        return " ".join([str(self._class_names.index(found.label)), *(f"{value:.7f}" for value in unit)]) + "\n"


def _images_of(yaml_path: Path, config: YoloConfig, entry: str) -> list[Path]:
    place = inner_path(config.root, entry, origin=yaml_path)
    if place.suffix != ".txt":
        return list_images(place)
    lines = [line.strip().removeprefix("./") for line in read_label_text(place).splitlines() if line.strip()]
    return [existing_image(inner_path(config.root, line, origin=place), origin=place) for line in lines]


def label_path(image: Path) -> Path:
    """Return where the labels of a picture lie: the last folder ``images`` becomes ``labels``."""
    parts = list(image.with_suffix(".txt").parts)
    for position in range(len(parts) - 2, -1, -1):
        if parts[position] == "images":
            parts[position] = "labels"
            break
    return Path(*parts)


def _read_sample(image: Path, labels: Sequence[str], class_names: Sequence[str]) -> Sample:
    path = label_path(image)
    rows = read_label_text(path).splitlines() if path.exists() else []
    filled = [(number, row.split()) for number, row in enumerate(rows, start=1) if row.strip()]
    size = image_size(image) if filled else (1, 1)
    objects = [_read_row(f"{path}: line {number}", row, labels, size) for number, row in filled]
    return Sample.from_objects(image, objects, class_names, origin=path)


def _read_row(what: str, row: list[str], labels: Sequence[str], size: tuple[int, int]) -> LabelledObject:
    try:
        number, (cx, cy, w, h) = int(row[0]), (float(value) for value in row[1:])
    except ValueError:
        raise InputError(f"{what} is not an object", got=" ".join(row)[:80], wanted="class cx cy w h") from None
    if not 0 <= number < len(labels):
        raise InputError(f"{what} is of an unknown class", got=str(number), wanted=f"0 to {len(labels) - 1}")
    if not all(0 <= value <= 1 for value in (cx, cy, w, h)):
        raise InputError(
            f"{what} has a box outside the picture",
            got=" ".join(row[1:]),
            wanted="cx cy w h as fractions of the picture, 0 to 1",
        )
    corners = ((cx - w / 2) * size[0], (cy - h / 2) * size[1], (cx + w / 2) * size[0], (cy + h / 2) * size[1])
    return LabelledObject(labels[number], corners)
