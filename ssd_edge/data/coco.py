"""COCO instances files: images, annotations and categories in one JSON (cocodataset.org, "Data format")."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssd_edge.core.errors import InputError, one_line
from ssd_edge.core.label_errors import LabelError
from ssd_edge.core.log import log
from ssd_edge.core.sample import Corners, LabelledObject, refuse_too_many
from ssd_edge.core.text_parsers import parse_json
from ssd_edge.data.label_files import (
    ImageFolders,
    checked_class_names,
    inner_path,
    missing_image,
    read_label_text,
    seen_kind,
)
from ssd_edge.data.scan import ScannedImage, ScannedSet, measured_image, of_image

_MAX_JSON_BYTES = 2 << 30  # COCO's own file has 0.45 GB; parsed, a file takes some eight times its size in memory
_SECTIONS = ("images", "annotations", "categories")

Entry = Mapping[str, Any]


def scan_coco(
    json_path: Path, image_folder: Path | ImageFolders, class_names: Sequence[str] | None = None
) -> ScannedSet:
    """Return what an instances file states.

    Boxes are x y width height from the top left corner, as floats; x y x+width y+height is exactly ours. Crowds
    (``iscrowd``) become ``difficult``: neither learned nor counted. ``area``, that of the outline, is kept; where it is
    left out it is the box's. Category numbers may have gaps. A category that no annotation uses and that others name as
    their ``supercategory`` is none: Roboflow writes such a root.

    Args:
        json_path: the instances file.
        image_folder: what ``file_name`` is relative to.
        class_names: the classes in the order of their numbers; by default the categories in the order of their ids.

    Raises:
        InputError: the file as a whole or its list of categories cannot be used.
    """
    folders = image_folder if isinstance(image_folder, ImageFolders) else ImageFolders(image_folder)
    images, annotations, categories = _read_sections(json_path)
    labels = _labels_by_id(json_path, _real_categories(json_path, categories, annotations))
    if class_names is None:
        names = [labels[number] for number in sorted(labels)]
        class_names = checked_class_names(names, origin=json_path)
    entries, lost_images = _images_by_id(json_path, images)
    owned, lost_objects = _annotations_by_image(json_path, annotations, entries)
    scanned = tuple(_scan_image(json_path, folders, entry, owned[number], labels) for number, entry in entries.items())
    origin = f"COCO {json_path}"
    return ScannedSet(
        tuple(class_names), scanned, origin, "sides", lost_images, lost_objects, image_folders=folders.folders
    )


def _real_categories(path: Path, categories: list[Entry], annotations: list[Entry]) -> list[Entry]:
    """The categories without those that are only the name of a group of others, which is logged."""
    used = {repr(annotation.get("category_id")) for annotation in annotations}
    groups = [entry.get("supercategory") for entry in categories]
    real = []
    for number, entry in enumerate(categories):
        others = groups[:number] + groups[number + 1 :]
        if repr(entry.get("id")) not in used and isinstance(entry.get("name"), str) and entry["name"] in others:
            log.info(
                f"{path}: category {entry.get('id')!r}, {entry['name']!r}, is only a supercategory without objects: "
                "it is left out"
            )
        else:
            real.append(entry)
    return real


def _images_by_id(path: Path, images: list[Entry]) -> tuple[dict[int, Entry], tuple[LabelError, ...]]:
    entries: dict[int, Entry] = {}
    lost: list[LabelError] = []
    for image in images:
        number, named = image.get("id"), f"image {image.get('id')!r}"[:80]
        if not isinstance(number, int) or isinstance(number, bool):
            lost.append(
                _image_error(path, f"{named} has an invalid id", got=repr(number)[:80], wanted="a whole number")
            )
        elif number in entries:
            lost.append(_image_error(path, f"{named} is listed twice", got=repr(image.get("file_name"))[:80]))
        elif not isinstance(image.get("file_name"), str):
            lost.append(_image_error(path, f"{named} has no file_name", got=repr(image.get("file_name"))[:80]))
        else:
            entries[number] = image
    return entries, tuple(lost)


def _image_error(path: Path, what: str, *, got: str, wanted: str = "") -> LabelError:
    return LabelError("label-unreadable", f"{path}: {what}", file=path, got=got, wanted=wanted)


def _annotations_by_image(
    path: Path, annotations: list[Entry], images: Mapping[int, Entry]
) -> tuple[dict[int, list[Entry]], tuple[LabelError, ...]]:
    owned: dict[int, list[Entry]] = {number: [] for number in images}
    lost: list[LabelError] = []
    for annotation in annotations:
        number = annotation.get("image_id")
        if isinstance(number, int) and not isinstance(number, bool) and number in owned:
            owned[number].append(annotation)
        else:
            got = f"image_id {number!r}"[:80]
            lost.append(
                LabelError.at(
                    "image-missing", path, _named(annotation), "belongs to an image that is not listed", got=got
                )
            )
    return owned, tuple(lost)


def _scan_image(
    path: Path, folders: ImageFolders, entry: Entry, annotations: list[Entry], labels: Mapping[int, str]
) -> ScannedImage:
    image = folders.folders[0] / "image"
    try:
        image, size, faults = _found_image(path, folders, str(entry["file_name"]))
        refuse_too_many(len(annotations), path)
    except LabelError as error:
        return ScannedImage(error.image or image, path, faults=(of_image(error, error.image or image),))
    objects: list[LabelledObject] = []
    for annotation in annotations:
        try:
            objects.append(_read_object(path, annotation, labels))
        except LabelError as error:
            faults = (*faults, of_image(error, image))
    return ScannedImage(image, path, tuple(objects), size, _stated_size(entry), faults=faults)


def _found_image(
    path: Path, folders: ImageFolders, name: str
) -> tuple[Path, tuple[int, int] | None, tuple[LabelError, ...]]:
    """The file of an image, its size, and why it cannot be read."""
    place = inner_path(folders.folders[0], name.replace("\\", "/"), origin=path, root=folders.root)
    relative = place.relative_to(folders.folders[0]) if place.is_relative_to(folders.folders[0]) else None
    image = place if relative is None or seen_kind(place) == "file" else folders.find(str(relative))
    if image is None or seen_kind(image) != "file":
        raise missing_image(place, origin=path)
    return image, *measured_image(image)


def _stated_size(entry: Entry) -> tuple[int, int] | None:
    width, height = entry.get("width"), entry.get("height")
    if isinstance(width, int) and isinstance(height, int) and 0 < width < 1 << 24 and 0 < height < 1 << 24:
        return width, height
    return None


def _read_sections(path: Path) -> tuple[list[Entry], list[Entry], list[Entry]]:
    try:
        document = parse_json(read_label_text(path, limit=_MAX_JSON_BYTES))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON", got=one_line(error), wanted="a COCO instances file") from error
    sections = [document.get(key) if isinstance(document, dict) else None for key in _SECTIONS]
    for key, section in zip(_SECTIONS, sections, strict=True):
        if not isinstance(section, list) or not all(isinstance(entry, dict) for entry in section):
            raise InputError(
                f"{path} has no list {key!r}", wanted="a COCO instances file with the lists " + ", ".join(_SECTIONS)
            )
    images, annotations, categories = (list(section or []) for section in sections)
    if not images:
        raise InputError(f"{path} lists no image", wanted="at least one image")
    return images, annotations, categories


def _labels_by_id(path: Path, categories: list[Entry]) -> dict[int, str]:
    labels: dict[int, str] = {}
    for category in categories:
        number, name = category.get("id"), category.get("name")
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(name, str) or not name:
            log.warning(f"{path}: category {number!r} has no usable id or name: the class of its objects is unknown")
            continue
        if number in labels:
            raise InputError(f"{path} uses the category id {number} twice", got=f"{labels[number]} and {name}")
        labels[number] = name
    return labels


def _read_object(path: Path, annotation: Entry, labels: Mapping[int, str]) -> LabelledObject:
    """Return an annotation as an object; one of an unknown category has a label that no class has."""
    category, place, box = annotation.get("category_id"), _named(annotation), _corners(path, annotation)
    is_known = isinstance(category, int) and not isinstance(category, bool) and category in labels
    label = labels[category] if is_known and isinstance(category, int) else f"category {category!r}, not listed"[:80]
    area = _area(annotation)
    if area is None:
        return LabelledObject.of_box(label, box, _is_crowd(annotation), place=place)
    return LabelledObject(label, box, area, _is_crowd(annotation), place=place)


def _corners(path: Path, annotation: Entry) -> Corners:
    try:
        x, y, width, height = (float(value) for value in annotation.get("bbox") or _around_outline(annotation))
    except (KeyError, TypeError, ValueError, OverflowError):
        got, wanted = repr(annotation.get("bbox"))[:80], "[x, y, width, height]"
        raise LabelError.at(
            "object-malformed", path, _named(annotation), "has no usable bbox", got=got, wanted=wanted
        ) from None
    return (x, y, x + width, y + height)


def _around_outline(annotation: Entry) -> tuple[float, float, float, float]:
    """The box around the outlines of an annotation that has no box, as x y width height."""
    points = [float(value) for outline in annotation["segmentation"] for value in outline]
    xs, ys = points[0::2], points[1::2]
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _is_crowd(annotation: Entry) -> bool:
    """Whatever is not plainly a single object is treated like a crowd."""
    return annotation.get("iscrowd", 0) not in (0, None, "0")  # JSON's false is 0


def _area(annotation: Entry) -> float | None:
    """Pixels in the outline; None where they are not stated."""
    value = annotation.get("area")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    return None


def _named(annotation: Entry) -> str:
    return f"annotation {annotation.get('id')!r}"[:80]
