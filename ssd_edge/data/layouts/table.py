"""Discovery of object tables and their images."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ssd_edge.data.label_files import ImageFolders, files_named, folders_in, seen_kind
from ssd_edge.data.layouts.split import (
    IMAGE_FOLDERS,
    WHOLE_SET,
    FoundSplit,
    split_folders,
    split_in_name,
    subfolder,
)
from ssd_edge.data.table import Table, read_rows, scan_table, table_columns

_CLASS_DESCRIPTIONS = "class-descriptions*.csv"
_PLACES = ("annotations", "labels", "data", "csv")
_MOST_TABLES = 50


def table_splits(folder: Path) -> dict[str, FoundSplit]:
    """Return the splits of a folder as tables, by name; none where it has no table of objects.

    Recognized: any CSV whose header names an image, a class and four corners (``filename,width,height,class,xmin,…`` of
    TensorFlow's object detection, ``ImageID,…,LabelName,…,XMin,…`` of Open Images, ``image,xmin,…,label`` of VoTT), in
    the folder, in ``annotations``, ``labels`` or ``data``, or in a folder named like a split. The split is what the
    file's name speaks of, or its folder's; else it is ``all``.

    Raises:
        InputError: the names of Open Images' classes cannot be read.
    """
    found: dict[str, tuple[Path, bool]] = {}
    for path in _tables(folder):
        header = _header(path)
        if table_columns(header) is not None:
            split = split_in_name(path.stem) or split_in_name(_inner_name(folder, path)) or WHOLE_SET
            found.setdefault(split, (path, "LabelName" in header and "XMin" in header))
    every = tuple(path for path, _ in found.values())
    names = _class_names(folder) if any(fractions for _, fractions in found.values()) else {}
    return {
        split: FoundSplit("CSV", partial(scan_table, _table(folder, split, path, every, names, fractions=fractions)))
        for split, (path, fractions) in found.items()
    }


def _table(
    folder: Path, split: str, path: Path, every: tuple[Path, ...], names: dict[str, str], *, fractions: bool
) -> Table:
    images = ImageFolders(*_image_folders(folder, split, path), root=folder)
    return Table(path, images, fractions, names, every, f"CSV {path}")


def _tables(folder: Path) -> list[Path]:
    places = [folder, *(place for name in _PLACES if (place := subfolder(folder, (name,))) is not None)]
    places += split_folders(folder)
    return [path for place in places for path in files_named(place, "*.csv")][:_MOST_TABLES]


def _header(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            first = file.readline(1 << 16).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return []
    return [cell.strip().strip('"') for cell in first.replace(";", ",").split(",")]


def _inner_name(folder: Path, path: Path) -> str:
    return "" if path.parent == folder else path.parent.name


def _class_names(folder: Path) -> dict[str, str]:
    """Open Images' names of classes: ``/m/01g317,Person``."""
    places = [folder, *folders_in(folder)]
    path = next((path for place in places for path in files_named(place, _CLASS_DESCRIPTIONS)), None)
    if path is None:
        return {}
    return {row[0].strip(): row[1].strip() for row in read_rows(path) if len(row) > 1}


def _image_folders(folder: Path, split: str, path: Path) -> list[Path]:
    images = subfolder(folder, IMAGE_FOLDERS) or folder / "images"
    own = subfolder(folder / split, IMAGE_FOLDERS) or folder / split
    places = [path.parent, images / split, own, folder / split, images, folder]
    return [place for place in dict.fromkeys(places) if seen_kind(place) == "folder"] or [folder]
