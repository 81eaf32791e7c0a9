"""Images and label files that lie beside those that are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ssd_edge.core.images import IMAGE_SUFFIXES
from ssd_edge.data.lint.issue import Issue
from ssd_edge.data.scan import ScannedSet

_LABEL_SUFFIXES = frozenset({".xml", ".txt"})
_NO_LABELS = frozenset(
    {
        "classes.txt",
        "labels.txt",
        "labelmap.txt",
        "predefined_classes.txt",
        "train.txt",
        "val.txt",
        "valid.txt",
        "test.txt",
    }
)
"""Lists that tools write beside label files."""


def unreferenced_files(scanned: Mapping[str, ScannedSet], issues: Sequence[Issue]) -> list[Issue]:
    """Return the images and the label files that no split uses.

    Args:
        scanned: all splits of the data set.
        issues: those found so far; a file that has one is not reported twice.
    """
    images = {entry.image for found in scanned.values() for entry in found.images}
    images |= {issue.image for issue in issues if issue.image}
    every = "/".join(scanned)
    return [
        *(
            Issue("unlisted-image", every, path, f"{path} is in none of {every}", image=path)
            for path in _lost_images(scanned, images)
        ),
        *(
            Issue("unused-labels", every, path, f"{path} belongs to no image of {every}")
            for path in _lost_labels(scanned, {issue.file for issue in issues}, {image.stem for image in images})
        ),
    ]


def _lost_images(scanned: Mapping[str, ScannedSet], known: set[Path]) -> list[Path]:
    folders = {folder for found in scanned.values() for folder in found.image_folders}
    return [
        path
        for folder in sorted(folders)
        for path in _entries(folder)
        if path.suffix.lower() in IMAGE_SUFFIXES and path not in known and not path.name.startswith(".")
    ]


def _entries(folder: Path) -> list[Path]:
    """Return the entries of a folder, sorted; none where it cannot be listed."""
    try:
        return sorted(folder.iterdir())
    except (OSError, ValueError):
        return []


def _lost_labels(scanned: Mapping[str, ScannedSet], faulty: set[Path], known_stems: set[str]) -> list[Path]:
    """Files beside the used label files, of the same suffix, that no image has."""
    used = {entry.origin for found in scanned.values() for entry in found.images}
    taken = used | faulty
    kinds = {(path.parent, path.suffix) for path in used if path.suffix in _LABEL_SUFFIXES}
    return [
        path
        for folder, suffix in sorted(kinds)
        for path in _entries(folder)
        if path.suffix == suffix
        and path not in taken
        and path.stem not in known_stems
        and not path.name.startswith((".", "README"))
        and path.name not in _NO_LABELS
    ]
