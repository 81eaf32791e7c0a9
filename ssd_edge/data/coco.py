"""COCO instances files: images, annotations and categories in one JSON (cocodataset.org, "Data format")."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside
from ssd_edge.data.label_files import checked_class_names, existing_image, inner_path, read_label_text
from ssd_edge.data.sample import Corners, LabelledObject, LabelledSet, Sample

_MAX_JSON_BYTES = 4 << 30
_SECTIONS = ("images", "annotations", "categories")

Entry = Mapping[str, Any]


def read_coco(json_path: Path, image_folder: Path, class_names: Sequence[str] | None = None) -> LabelledSet:
    """Return the pictures that an instances file lists, with their objects.

    Boxes are x y width height from the top left corner, as floats; x y x+width y+height is exactly ours. Crowds
    (``iscrowd``) become ``difficult``: neither learnt nor counted. Category numbers may have gaps.

    Args:
        json_path: the instances file.
        image_folder: what ``file_name`` is relative to.
        class_names: the classes in the order of their numbers; by default the categories in the order of their ids.

    Raises:
        InputError: the file is damaged, a picture is missing, or an object has no known class or no usable box; the
            message names the file and the annotation.
    """
    images, annotations, categories = _read_sections(json_path)
    labels = _labels_by_id(json_path, categories)
    if class_names is None:
        names = [labels[number] for number in sorted(labels)]
        class_names = checked_class_names(names, origin=json_path)
    objects: dict[int, list[LabelledObject]] = {_whole(json_path, "image", image, "id"): [] for image in images}
    if len(objects) != len(images):
        raise InputError(f"{json_path} lists two images with one id", wanted="each id once")
    for annotation in annotations:
        owner = _whole(json_path, "annotation", annotation, "image_id")
        if owner not in objects:
            raise InputError(f"{json_path}: {_named(annotation)} belongs to no image", got=f"image_id {owner}")
        objects[owner].append(_read_object(json_path, annotation, labels))
    samples = tuple(_sample(json_path, image_folder, image, objects[image["id"]], class_names) for image in images)
    return LabelledSet(tuple(class_names), samples, f"COCO {json_path}")


class CocoWriter:
    """Writes annotations/instances_<split>.json and images/<split>/*.jpg; category ids start at 1."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, tuple(class_names)
        self._splits: dict[str, dict[str, list[dict[str, Any]]]] = {}

    def image_path(self, split: str, stem: str) -> Path:
        """Return images/<split>/<stem>.jpg."""
        return self._folder / "images" / split / f"{stem}.jpg"

    def add(self, split: str, image: Path, size: tuple[int, int], objects: Sequence[LabelledObject]) -> None:
        """Keep the labels until ``close``."""
        written = self._splits.setdefault(split, {"images": [], "annotations": []})
        number = len(written["images"]) + 1
        written["images"].append({"id": number, "file_name": image.name, "width": size[0], "height": size[1]})
        for found in objects:
            x1, y1, x2, y2 = found.box
            entry = {"id": len(written["annotations"]) + 1, "image_id": number}
            entry["category_id"] = self._class_names.index(found.label) + 1
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "segmentation": []}
            written["annotations"].append({**entry, **box, "iscrowd": int(found.difficult)})

    def close(self) -> None:
        """Write one instances file for each split."""
        categories = [{"id": number, "name": name} for number, name in enumerate(self._class_names, start=1)]
        for split, written in self._splits.items():
            with written_beside(self._folder / "annotations" / f"instances_{split}.json") as partial:
                partial.write_text(json.dumps({**written, "categories": categories}) + "\n", encoding="utf-8")


def _read_sections(path: Path) -> tuple[list[Entry], list[Entry], list[Entry]]:
    try:
        document = json.loads(read_label_text(path, limit=_MAX_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON", got=str(error), wanted="a COCO instances file") from error
    sections = [document.get(key) if isinstance(document, dict) else None for key in _SECTIONS]
    for key, section in zip(_SECTIONS, sections, strict=True):
        if not isinstance(section, list) or not all(isinstance(entry, dict) for entry in section):
            raise InputError(f"{path} has no list {key!r}", wanted="a COCO instances file: " + ", ".join(_SECTIONS))
    images, annotations, categories = (list(section or []) for section in sections)
    if not images:
        raise InputError(f"{path} lists no image", wanted="one image or more")
    return images, annotations, categories


def _labels_by_id(path: Path, categories: list[Entry]) -> dict[int, str]:
    labels: dict[int, str] = {}
    for category in categories:
        number, name = _whole(path, "category", category, "id"), category.get("name")
        if not isinstance(name, str) or not name:
            raise InputError(f"{path}: category {number} has no name", got=repr(name))
        if number in labels:
            raise InputError(f"{path} lists category {number} twice", got=f"{labels[number]} and {name}")
        labels[number] = name
    return labels


def _read_object(path: Path, annotation: Entry, labels: Mapping[int, str]) -> LabelledObject:
    category = _whole(path, "annotation", annotation, "category_id")
    if category not in labels:
        raise InputError(
            f"{path}: {_named(annotation)} is of an unknown category",
            got=f"category_id {category}",
            wanted="an id of the list 'categories'",
        )
    return LabelledObject(labels[category], _corners(path, annotation), bool(annotation.get("iscrowd", 0)))


def _corners(path: Path, annotation: Entry) -> Corners:
    try:
        x, y, width, height = (float(value) for value in annotation["bbox"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(
            f"{path}: {_named(annotation)} has no usable bbox",
            got=repr(annotation.get("bbox"))[:80],
            wanted="[x, y, width, height]",
        ) from None
    return (x, y, x + width, y + height)


def _sample(
    path: Path, folder: Path, entry: Entry, objects: list[LabelledObject], class_names: Sequence[str]
) -> Sample:
    name = entry.get("file_name")
    if not isinstance(name, str):
        raise InputError(f"{path}: image {entry['id']} has no file_name", got=repr(name))
    image = existing_image(inner_path(folder, name, origin=path), origin=path)
    return Sample.from_objects(image, objects, class_names, origin=Path(f"{path}: {name}"))


def _whole(path: Path, what: str, entry: Entry, key: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{path}: {what} {entry.get('id')!r} has a wrong {key}", got=repr(value), wanted="a number")
    return value


def _named(annotation: Entry) -> str:
    return f"annotation {annotation.get('id')!r}"
