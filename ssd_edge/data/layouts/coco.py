"""Discovery of COCO data: instances files of any name, and their images."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ssd_edge.data.coco import scan_coco
from ssd_edge.data.label_files import ImageFolders, files_named, folders_in, seen_kind
from ssd_edge.data.layouts.split import (
    IMAGE_FOLDERS,
    WHOLE_SET,
    FoundSplit,
    split_folders,
    split_in_name,
    subfolder,
    without_year,
)
from ssd_edge.data.scan import ScannedSet

BESIDE = "_annotations.coco.json"
"""Roboflow's file of instances, in the folder of its images."""

_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_OF_OTHER_TASKS = ("person_keypoints_", "captions_", "panoptic_", "stuff_", "image_info_", "keypoints_")
_LIST_FOLDERS = ("annotations", "annotation", "ann", "labels")
_WHOLE_NAMES = frozenset(
    {"annotations", "_annotations.coco", "instances", "instances_all", "result", "coco", "labels", "dataset", "data"}
)


def coco_splits(folder: Path) -> dict[str, FoundSplit]:
    """Return the splits of a folder as COCO, by name; none where it is not.

    Recognized, in this order: ``annotations/instances_<split>*.json``, the newest of several years; any JSON with
    images, annotations and categories in a folder named like a split, in ``annotations``, or in the folder itself. The
    split is what the file's name speaks of, or its folder's; else it is ``all``.
    """
    found: dict[str, Path] = {}
    for path in _instances(folder) or _any_documents(folder):
        found.setdefault(_split_of(folder, path), path)
    return {split: _found(folder, split, path) for split, path in found.items()}


def _found(folder: Path, split: str, path: Path) -> FoundSplit:
    return FoundSplit("COCO", partial(_scan, folder, split, path))


def _scan(folder: Path, split: str, path: Path, class_names: Sequence[str] | None) -> ScannedSet:
    return scan_coco(path, ImageFolders(*_image_folders(folder, split, path), root=folder), class_names)


def folder_of(path: Path) -> Path:
    """Return the folder of the data set that a JSON file belongs to: its own, or that of its ``annotations``."""
    return path.parent.parent if path.parent.name.lower() in _LIST_FOLDERS else path.parent


def is_coco(path: Path) -> bool:
    """Whether a JSON file, of whatever size, speaks of images, annotations and categories."""
    try:
        if seen_kind(path) != "file" or path.stat().st_size == 0:
            return False
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return all(text.find(key) >= 0 for key in _KEYS)
    except (OSError, ValueError):
        return False


def _instances(folder: Path) -> list[Path]:
    """Exact names first, then those with the newest year, then those that lie beside the images."""
    named = files_named(folder / "annotations", "instances_*.json")
    exact = [path for path in named if without_year(path.stem) == path.stem]
    yearly = sorted((path for path in named if path not in exact), reverse=True)
    beside = [path / BESIDE for path in folders_in(folder) if seen_kind(path / BESIDE) == "file"]
    return [*exact, *yearly, *beside]


def _any_documents(folder: Path) -> list[Path]:
    places = [folder, *(found for name in _LIST_FOLDERS if (found := subfolder(folder, (name,))) is not None)]
    for split in split_folders(folder):
        places += [split, *(found for name in _LIST_FOLDERS if (found := subfolder(split, (name,))) is not None)]
    paths = [path for place in places for path in files_named(place, "*.json")]
    return [path for path in paths if not path.name.startswith(_OF_OTHER_TASKS) and is_coco(path)]


def _split_of(folder: Path, path: Path) -> str:
    stem = path.stem.removeprefix("instances_")
    if path.name == BESIDE:
        return path.parent.name
    if stem != path.stem:
        return without_year(stem)
    parents = [parent.name for parent in path.parents if parent != folder and parent.is_relative_to(folder)]
    named = split_in_name(stem) or next((name for name in parents if split_in_name(name)), None)
    return named or (WHOLE_SET if stem.lower() in _WHOLE_NAMES else without_year(stem))


def _image_folders(folder: Path, split: str, path: Path) -> list[Path]:
    """Folders in which file names are searched: named like the split, the file's folder, the data set's folder."""
    if path.name == BESIDE:
        return [path.parent]
    name = path.stem.removeprefix("instances_")
    images = subfolder(folder, IMAGE_FOLDERS) or folder / "images"
    own = subfolder(path.parent.parent, IMAGE_FOLDERS) or images
    beside = subfolder(path.parent, IMAGE_FOLDERS) or images
    places = [images / name, folder / name, images / split, folder / split / "images", folder / split]
    places += [images, own, beside, path.parent, folder, *(place for place in folders_in(images))]
    return [place for place in dict.fromkeys(places) if seen_kind(place) == "folder"] or [folder]
