"""A split that was found, and the words that split names are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ssd_edge.data.label_files import folders_in
from ssd_edge.data.scan import ScannedSet

WHOLE_SET = "all"
"""The split that holds every image of data that has no splits."""

SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "dev", "test", "testing")
"""Names that tools give to splits."""

_WORD = re.compile(r"[a-z]+")
_YEAR = re.compile(r"[0-9]{4}$")

Scan = Callable[[Sequence[str] | None], ScannedSet]


class FoundSplit(NamedTuple):
    """A split of a known layout.

    Attributes:
        layout: its name, e.g. ``VOC``.
        scan: reads the split's labels with these classes, or with the data's own for None.
    """

    layout: str
    scan: Scan


def split_in_name(stem: str) -> str | None:
    """Return the split that a file's name speaks of: ``val`` for ``instances_val2017``; None for none."""
    words = _WORD.findall(stem.lower())
    return next((word for word in words if word in SPLIT_NAMES), None)


def without_year(stem: str) -> str:
    """Return ``train`` for ``train2017``."""
    return _YEAR.sub("", stem)


def split_folders(folder: Path) -> list[Path]:
    """Return the folders that are called like a split."""
    return [path for path in folders_in(folder) if without_year(path.name.lower()) in SPLIT_NAMES]


def subfolder(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the first of these folders that is there, whatever the case of its name."""
    there = {path.name.lower(): path for path in folders_in(folder)}
    return next((there[name] for name in names if name in there), None)


IMAGE_FOLDERS = ("jpegimages", "images", "imgs", "img", "image", "data", "photos")
"""Names that tools give to image folders, in lower case."""
