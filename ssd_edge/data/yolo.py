"""YOLO folders: data.yaml, images/<split>/*.jpg and labels/<split>/*.txt with ``class cx cy w h`` in 0..1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.images import list_images
from ssd_edge.core.label_errors import LabelError, Report, refuse
from ssd_edge.core.sample import Corners, LabelledObject, refuse_too_many
from ssd_edge.data.image_size import image_size
from ssd_edge.data.label_files import existing_image, inner_path, read_label_text
from ssd_edge.data.scan import ScannedImage, ScannedSet
from ssd_edge.data.yolo_yaml import YoloConfig, read_yolo_yaml

_SHORTEST_OUTLINE = 6  # three points
_UP = "../"
_MAX_LIST_BYTES = 1 << 30  # a list of all pictures of a split


def read_yolo_row(
    path: Path, number: int, row: Sequence[str], labels: Sequence[str], size: tuple[int, int]
) -> LabelledObject:
    """Return the object of line ``number``: ``class cx cy w h``, or ``class x1 y1 x2 y2 x3 y3 …`` as its outline.

    Args:
        path: the label file, for messages.
        number: of the line, from 1.
        row: the words of the line.
        labels: the class of each number.
        size: (width, height) of the picture in pixels.

    Raises:
        LabelError: the line is no object of a known class inside the picture.
    """
    place = f"line {number}"
    try:
        class_number, values = int(row[0]), [float(word) for word in row[1:]]
    except ValueError:
        raise _not_an_object(path, place, row) from None
    is_outline = len(values) >= _SHORTEST_OUTLINE and len(values) % 2 == 0
    if len(values) != 4 and not is_outline:
        raise _not_an_object(path, place, row)
    if not 0 <= class_number < len(labels):
        wanted = f"0 to {len(labels) - 1}"
        raise LabelError.at("class-unknown", path, place, "is of an unknown class", got=row[0][:20], wanted=wanted)
    _refuse_odd_values(path, place, row, values, negative_side=not is_outline and min(values[2:]) < 0)
    x1, y1, x2, y2 = _outlined(values) if is_outline else _around_centre(values)
    width, height = size
    box = (x1 * width, y1 * height, x2 * width, y2 * height)
    return LabelledObject.of_box(labels[class_number], box, place=place)


def _refuse_odd_values(
    path: Path, place: str, row: Sequence[str], values: Sequence[float], *, negative_side: bool
) -> None:
    got, wanted = " ".join(row[1:])[:80], "fractions of the picture, 0 to 1"
    if not all(math.isfinite(value) for value in values):
        raise LabelError.at("box-not-finite", path, place, "has a value that is no number", got=got, wanted=wanted)
    if negative_side:
        raise LabelError.at("box-inverted", path, place, "has a negative width or height", got=got, wanted=wanted)
    if not all(0 <= value <= 1 for value in values):
        raise LabelError.at("box-outside", path, place, "has a box outside the picture", got=got, wanted=wanted)


def _around_centre(values: Sequence[float]) -> Corners:
    cx, cy, w, h = values
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def _outlined(values: Sequence[float]) -> Corners:
    xs, ys = values[0::2], values[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _not_an_object(path: Path, place: str, row: Sequence[str]) -> LabelError:
    got, wanted = " ".join(row)[:80], "class cx cy w h, or class x1 y1 x2 y2 x3 y3 …"
    return LabelError.at("object-malformed", path, place, "is not an object", got=got, wanted=wanted)


def scan_yolo(
    yaml_path: Path, split: str, class_names: Sequence[str] | None = None, report: Report = refuse
) -> ScannedSet:
    """Return what the label files of a split state; faults go to ``report``, and what has them is left out.

    The labels of ``…/images/…/a.jpg`` lie in ``…/labels/…/a.txt``; an image without that file has no objects, as the
    format defines it.

    Args:
        yaml_path: the data.yaml.
        split: ``train``, ``val`` or ``test``.
        class_names: the classes in the order of their numbers here; by default those of data.yaml.
        report: told of each fault; by default the first one is raised.

    Raises:
        InputError: data.yaml or the list of images cannot be used; by default also where an image is missing or a line
            is no object with a usable box, and the message names the file and the object.
    """
    config = read_yolo_yaml(yaml_path)
    if split not in config.splits:
        raise InputError(
            f"{yaml_path} has no split {split!r}", got=", ".join(config.splits) or "none", wanted=f"{split}: images/…"
        )
    names = tuple(class_names) if class_names is not None else config.class_names
    images = [image for entry in config.splits[split] for image in _images_of(yaml_path, config, entry, report)]
    pictures = []
    for image in images:
        try:
            pictures.append(_scan_picture(image, config.class_names, report))
        except LabelError as error:
            error.image = image
            report(error)
    folders = tuple(dict.fromkeys(image.parent for image in images))
    return ScannedSet(names, tuple(pictures), f"YOLO {yaml_path}, split {split}", folders)


def _images_of(yaml_path: Path, config: YoloConfig, entry: str, report: Report) -> list[Path]:
    place = _split_place(yaml_path, config.root, entry)
    if place.suffix != ".txt":
        return list_images(place, below=True)
    images = []
    for line in read_label_text(place, limit=_MAX_LIST_BYTES).splitlines():
        try:
            if name := line.strip().removeprefix("./"):
                images.append(existing_image(inner_path(config.root, name, origin=place), origin=place))
        except LabelError as error:
            report(error)
    return images


def _split_place(yaml_path: Path, root: Path, entry: str) -> Path:
    """Where a split lies. Roboflow writes ``../train/images`` and means ``train/images`` beside data.yaml.

    As Ultralytics reads it: one ``../`` is followed if something is there, else left away. A second one is refused.
    """
    if not entry.startswith(_UP):
        return inner_path(root, entry, origin=yaml_path)
    beside = inner_path(root / _UP, entry.removeprefix(_UP), origin=yaml_path)
    return inner_path(root, entry.removeprefix(_UP), origin=yaml_path) if path_kind(beside) == "absent" else beside


def label_path(image: Path) -> Path:
    """Return where the labels of a picture lie: the last folder ``images`` becomes ``labels``."""
    parts = list(image.with_suffix(".txt").parts)
    for position in range(len(parts) - 2, -1, -1):
        if parts[position] == "images":
            parts[position] = "labels"
            break
    return Path(*parts)


def _scan_picture(image: Path, labels: Sequence[str], report: Report) -> ScannedImage:
    path = label_path(image)
    has_labels = path_kind(path) != "absent"
    rows = read_label_text(path).splitlines() if has_labels else []
    filled = [(number, row.split()) for number, row in enumerate(rows, start=1) if row.strip()]
    refuse_too_many(len(filled), path)
    objects: list[LabelledObject] = []
    try:
        size = image_size(image) if filled else (1, 1)
    except InputError:
        if report is refuse:
            raise
        return ScannedImage(image, path, (), has_labels=has_labels)  # who looks at the pixels will name the picture
    for number, row in filled:
        try:
            objects.append(read_yolo_row(path, number, row, labels, size))
        except LabelError as error:
            error.image = image
            report(error)
    return ScannedImage(image, path, tuple(objects), has_labels=has_labels)
