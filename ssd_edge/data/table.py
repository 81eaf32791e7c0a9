"""Tables of objects, one a row: CSV as TensorFlow's object detection, Open Images, VoTT and Kaggle have them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.label_errors import LabelError
from ssd_edge.core.sample import Corners, LabelledObject, refuse_too_many
from ssd_edge.data.label_files import (
    ImageFolders,
    checked_class_names,
    inner_path,
    is_image_name,
    missing_image,
    read_label_text,
    seen_kind,
)
from ssd_edge.data.scan import ScannedImage, ScannedSet, Unit, measured_image, of_image

_MAX_TABLE_BYTES = 4 << 30
_LONGEST_FIELD = 1 << 16
_COLUMNS: dict[str, tuple[str, ...]] = {
    "image": ("filename", "imageid", "image_id", "file_name", "image", "image_path", "img_path", "path", "frame"),
    "label": ("class", "labelname", "label", "name", "class_name", "category", "classname"),
    "x1": ("xmin", "x_min", "x1", "left"),
    "y1": ("ymin", "y_min", "y1", "top"),
    "x2": ("xmax", "x_max", "x2", "right"),
    "y2": ("ymax", "y_max", "y2", "bottom"),
}
_CORNERS = ("x1", "y1", "x2", "y2")

Columns = Mapping[str, int]


@dataclass(frozen=True)
class Table:
    """Path and format of a table.

    Attributes:
        path: the file.
        images: where the images are looked for.
        fractions: boxes are fractions of their image (Open Images).
        names: what the labels of the file are called; empty where they are the names.
        all_tables: those of all splits, whose labels are the classes.
        origin: for messages.
    """

    path: Path
    images: ImageFolders
    fractions: bool
    names: Mapping[str, str]
    all_tables: tuple[Path, ...]
    origin: str


def table_columns(header: Sequence[str]) -> Columns | None:
    """Return the number of each column that is needed; None where the header is not that of a table of objects."""
    there = {name.strip().strip('"').lower(): number for number, name in reversed(list(enumerate(header)))}
    found = {key: next((there[name] for name in names if name in there), -1) for key, names in _COLUMNS.items()}
    for key in ("is_group_of", "isgroupof", "difficult"):
        if key in there:
            found["crowd"] = there[key]
    return found if min(found[key] for key in _COLUMNS) >= 0 else None


def read_rows(path: Path) -> list[list[str]]:
    """Return the rows of a table.

    Raises:
        LabelError: it is unreadable or too large.
        InputError: it is no CSV.
    """
    text = read_label_text(path, limit=_MAX_TABLE_BYTES)
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=";" if _has_semicolons(text) else ","))
    except csv.Error as error:
        raise InputError(f"{path} is not a valid CSV file", got=str(error), wanted="a table of objects") from error


def _has_semicolons(text: str) -> bool:
    header = text.partition("\n")[0]
    return header.count(";") > header.count(",")


def scan_table(table: Table, class_names: Sequence[str] | None = None) -> ScannedSet:
    """Return what a table states.

    Corners in pixels are taken as they are, from 0, right and bottom exclusive; those of Open Images are fractions, and
    its groups (``IsGroupOf``) are ``difficult``. An image without a row is not in the set.

    Args:
        table: where it lies.
        class_names: the classes in the order of their numbers; by default all labels of all splits, in alphabetical
            order.

    Raises:
        InputError: the file as a whole cannot be used.
    """
    rows, columns = _body(table.path)
    names = tuple(class_names) if class_names is not None else _labels_of_all(table)
    by_image: dict[str, list[tuple[int, list[str]]]] = {}
    lost: list[LabelError] = []
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        if len(row) <= columns["image"] or not row[columns["image"]].strip():
            lost.append(_row_error(table, number, row, "names no image"))
        else:
            by_image.setdefault(row[columns["image"]].strip(), []).append((number, row))
    images = tuple(_scan_image(table, name, owned, columns) for name, owned in by_image.items())
    unit: Unit = "fractions" if table.fractions else "corners"
    return ScannedSet(names, images, table.origin, unit, lost_objects=tuple(lost), image_folders=table.images.folders)


def _body(path: Path) -> tuple[list[list[str]], Columns]:
    rows = read_rows(path)
    columns = table_columns(rows[0]) if rows else None
    if columns is None:
        got, wanted = ", ".join(rows[0] if rows else [])[:80], "the columns filename, class, xmin, ymin, xmax, ymax"
        raise InputError(f"{path} is not a table of objects", got=got, wanted=wanted)
    return rows[1:], columns


def _labels_of_all(table: Table) -> tuple[str, ...]:
    labels: set[str] = set()
    for path in table.all_tables:
        rows, columns = _body(path)
        labels |= {row[columns["label"]].strip() for row in rows if len(row) > columns["label"]}
    names = sorted({table.names.get(label, label) for label in labels if label})
    return checked_class_names(names, origin=table.path)


def _row_error(table: Table, number: int, row: Sequence[str], what: str) -> LabelError:
    got, wanted = ",".join(row)[:80], "an image, a class and four corners"
    return LabelError.at("object-malformed", table.path, f"line {number}", what, got=got, wanted=wanted)


def _scan_image(table: Table, name: str, rows: list[tuple[int, list[str]]], columns: Columns) -> ScannedImage:
    image = table.images.folders[0] / "image"
    try:
        image = _found_image(table, name)
        refuse_too_many(len(rows), table.path)
    except LabelError as error:
        return ScannedImage(error.image or image, table.path, faults=(of_image(error, error.image or image),))
    size, faults = measured_image(image)
    objects: list[LabelledObject] = []
    for number, row in rows if size is not None else ():
        try:
            objects.append(_read_object(table, number, row, columns, size or (1, 1)))
        except LabelError as error:
            faults = (*faults, of_image(error, image))
    return ScannedImage(image, table.path, tuple(objects), size, faults=faults)


def _found_image(table: Table, name: str) -> Path:
    folders = table.images
    place = inner_path(folders.folders[0], name.replace("\\", "/"), origin=table.path, root=folders.root)
    if seen_kind(place) == "file" and is_image_name(place.name):
        return place
    inside = place.relative_to(folders.folders[0]) if place.is_relative_to(folders.folders[0]) else place
    found = folders.find(str(inside))
    if found is None:
        raise missing_image(place, origin=table.path)
    return found


def _read_object(
    table: Table, number: int, row: Sequence[str], columns: Columns, size: tuple[int, int]
) -> LabelledObject:
    try:
        corners = [float(row[columns[key]]) for key in _CORNERS]
    except (ValueError, IndexError):
        raise _row_error(table, number, row, "has no usable box") from None
    scale = (*size, *size) if table.fractions else (1, 1, 1, 1)
    x1, y1, x2, y2 = (corner * factor for corner, factor in zip(corners, scale, strict=True))
    box: Corners = (x1, y1, x2, y2)
    label = row[columns["label"]].strip() if len(row) > columns["label"] else ""
    crowd = columns.get("crowd", len(row))
    is_group = crowd < len(row) and row[crowd].strip().lower() in ("1", "true")
    return LabelledObject.of_box(table.names.get(label, label), box, is_group, place=f"line {number}")
