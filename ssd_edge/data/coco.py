"""COCO instances files: images, annotations and categories in one JSON (cocodataset.org, "Data format")."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssd_edge.core.errors import InputError
from ssd_edge.core.label_errors import LabelError, Report, refuse
from ssd_edge.core.sample import Corners, LabelledObject, refuse_too_many
from ssd_edge.core.text_parsers import parse_json
from ssd_edge.data.label_files import checked_class_names, existing_image, inner_path, read_label_text
from ssd_edge.data.scan import ScannedImage, ScannedSet

_MAX_JSON_BYTES = 2 << 30  # COCO's own file has 0.45 GB; parsed, a file takes some eight times its size in memory
_SECTIONS = ("images", "annotations", "categories")

Entry = Mapping[str, Any]


def scan_coco(
    json_path: Path, image_folder: Path, class_names: Sequence[str] | None = None, report: Report = refuse
) -> ScannedSet:
    """Return what an instances file states; faults go to ``report``, and what has them is left out.

    Boxes are x y width height from the top left corner, as floats; x y x+width y+height is exactly ours. Crowds
    (``iscrowd``) become ``difficult``: neither learned nor counted. ``area``, that of the outline, is kept; where it is
    left out it is the box's. Category numbers may have gaps.

    Args:
        json_path: the instances file.
        image_folder: what ``file_name`` is relative to.
        class_names: the classes in the order of their numbers; by default the categories in the order of their ids.
        report: told of each fault; by default the first one is raised.

    Raises:
        InputError: the file as a whole or its list of categories cannot be used; by default also where an image is
            missing or an object has no usable box, and the message names the file and the annotation.
    """
    images, annotations, categories = _read_sections(json_path)
    labels = _labels_by_id(json_path, categories)
    if class_names is None:
        names = [labels[number] for number in sorted(labels)]
        class_names = checked_class_names(names, origin=json_path)
    entries = _images_by_id(json_path, images, report)
    owned = _annotations_by_image(json_path, annotations, entries, report)
    pictures = []
    for number, entry in entries.items():
        try:
            pictures.append(_scan_picture(json_path, image_folder, entry, owned[number], labels, report))
        except LabelError as error:
            report(error)
    return ScannedSet(tuple(class_names), tuple(pictures), f"COCO {json_path}", (image_folder,))


def _images_by_id(path: Path, images: list[Entry], report: Report) -> dict[int, Entry]:
    entries: dict[int, Entry] = {}
    for image in images:
        try:
            number = _whole(path, "image", image, "id")
            if number in entries:
                raise LabelError.at(
                    "label-unreadable", path, f"image {number}", "is listed twice", got=repr(image.get("file_name"))
                )
            entries[number] = image
        except LabelError as error:
            report(error)
    return entries


def _annotations_by_image(
    path: Path, annotations: list[Entry], images: Mapping[int, Entry], report: Report
) -> dict[int, list[Entry]]:
    owned: dict[int, list[Entry]] = {number: [] for number in images}
    for annotation in annotations:
        try:
            number = _whole(path, "annotation", annotation, "image_id")
            if number not in owned:
                raise LabelError.at(
                    "image-missing", path, _named(annotation), "belongs to no image", got=f"image_id {number}"
                )
            owned[number].append(annotation)
        except LabelError as error:
            report(error)
    return owned


def _scan_picture(
    path: Path,
    folder: Path,
    entry: Entry,
    annotations: list[Entry],
    labels: Mapping[int, str],
    report: Report,
) -> ScannedImage:
    name = entry.get("file_name")
    if not isinstance(name, str):
        raise LabelError.at("object-malformed", path, f"image {entry['id']}", "has no file_name", got=repr(name)[:80])
    image = existing_image(inner_path(folder, name, origin=path), origin=path)
    refuse_too_many(len(annotations), path)
    objects = []
    for annotation in annotations:
        try:
            objects.append(_read_object(path, annotation, labels))
        except LabelError as error:
            error.image = image
            report(error)
    return ScannedImage(image, path, tuple(objects), _stated_size(entry))


def _stated_size(entry: Entry) -> tuple[int, int] | None:
    width, height = entry.get("width"), entry.get("height")
    if isinstance(width, int) and isinstance(height, int) and 0 < width < 1 << 24 and 0 < height < 1 << 24:
        return width, height
    return None


def _read_sections(path: Path) -> tuple[list[Entry], list[Entry], list[Entry]]:
    try:
        document = parse_json(read_label_text(path, limit=_MAX_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON", got=str(error)[:200], wanted="a COCO instances file") from error
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
    place = _named(annotation)
    if category not in labels:
        got, wanted = f"category_id {category}", "an id of the list 'categories'"
        raise LabelError.at("class-unknown", path, place, "is of an unknown category", got=got, wanted=wanted)
    crowd, box = _is_crowd(path, annotation), _corners(path, annotation)
    if "area" not in annotation:
        return LabelledObject.of_box(labels[category], box, crowd, place=place)
    return LabelledObject(labels[category], box, _area(path, annotation), crowd, place=place)


def _corners(path: Path, annotation: Entry) -> Corners:
    try:
        x, y, width, height = (float(value) for value in annotation["bbox"])
    except (KeyError, TypeError, ValueError, OverflowError):
        got, wanted = repr(annotation.get("bbox"))[:80], "[x, y, width, height]"
        raise LabelError.at(
            "object-malformed", path, _named(annotation), "has no usable bbox", got=got, wanted=wanted
        ) from None
    return (x, y, x + width, y + height)


def _is_crowd(path: Path, annotation: Entry) -> bool:
    value = annotation.get("iscrowd", 0)
    if value in (0, 1):  # JSON's true and false too; "0" would pass for true
        return bool(value)
    raise LabelError.at(
        "object-malformed", path, _named(annotation), "has a wrong iscrowd", got=repr(value)[:80], wanted="0 or 1"
    )


def _area(path: Path, annotation: Entry) -> float:
    value = annotation["area"]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    got, wanted = repr(value)[:80], "pixels in the outline, 0 or more"
    raise LabelError.at("object-malformed", path, _named(annotation), "has no usable area", got=got, wanted=wanted)


def _whole(path: Path, what: str, entry: Entry, key: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        place = f"{what} {entry.get('id')!r}"[:80]
        raise LabelError.at(
            "object-malformed", path, place, f"has a wrong {key}", got=repr(value)[:80], wanted="a whole number"
        )
    return value


def _named(annotation: Entry) -> str:
    return f"annotation {annotation.get('id')!r}"[:80]
