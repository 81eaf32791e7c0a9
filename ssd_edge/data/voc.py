"""Pascal VOC folders: Annotations/*.xml, JPEGImages/*.jpg, ImageSets/Main/<split>.txt (VOC devkit, section 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.data.faults import LabelError, Report, refuse
from ssd_edge.data.label_files import (
    CLASS_FILE,
    checked_class_names,
    image_with_stem,
    inner_path,
    read_class_file,
    read_label_text,
)
from ssd_edge.data.sample import LabelledObject, LabelledSet, sorted_labels
from ssd_edge.data.scan import ScannedPicture, ScannedSet
from ssd_edge.data.voc_annotation import scan_voc_annotation

WHOLE_SET = "all"
"""The split that holds every picture of a folder without lists."""

_LIST_LINE = re.compile(r"^(?P<stem>.*?)(?:\s+-?[01])?$")  # lists of one class say 1, 0 or -1 after the name


class VocPlace(NamedTuple):
    """Where a split lies.

    Attributes:
        annotations, images: the folders.
        listed: the file that lists the split's pictures; None where every annotation belongs to it.
    """

    annotations: Path
    images: Path
    listed: Path | None


def find_voc(folder: Path, split: str) -> VocPlace | None:
    """Return where a split lies, None where the folder holds no such split as VOC.

    Known: ImageSets/Main/<split>.txt; <split>/*.xml beside the pictures, as Roboflow exports it; and, for the split
    ``all``, Annotations without any list.
    """
    annotations, images = folder / "Annotations", folder / "JPEGImages"
    listed = _lists_of(folder) / f"{split}.txt"
    if path_kind(listed) == "file":
        return VocPlace(annotations, images, listed)
    if next((folder / split).glob("*.xml"), None) is not None:
        return VocPlace(folder / split, folder / split, None)
    if split == WHOLE_SET and annotations.is_dir() and not any(_lists_of(folder).glob("*.txt")):
        return VocPlace(annotations, images, None)
    return None


def voc_splits(folder: Path) -> tuple[str, ...]:
    """Return the names of the splits that lie in the folder as VOC; lists of one class are none."""
    lists = [path for path in sorted(_lists_of(folder).glob("*.txt")) if not _is_of_one_class(path)]
    beside = sorted({path.parent.name for path in folder.glob("*/*.xml")} - {"Annotations"})
    whole = [WHOLE_SET] if find_voc(folder, WHOLE_SET) else []
    return tuple(dict.fromkeys([path.stem for path in lists] + beside + whole))


def read_voc(folder: Path, split: str, class_names: Sequence[str] | None = None) -> LabelledSet:
    """Return the pictures of a split, with their objects.

    Corners in the files are 1-based and inclusive; xmin ymin xmax ymax become xmin - 1, ymin - 1, xmax, ymax.

    Args:
        folder: holds Annotations, JPEGImages and ImageSets; see :func:`find_voc` for other layouts.
        split: name of a list, e.g. ``train``.
        class_names: the classes in the order of their numbers; by default those of ``labels.txt``, and without that
            all labels of all annotations, in alphabetical order, so that every split numbers them alike.

    Raises:
        InputError: a list, annotation or picture is missing or damaged, or an object has no known class or no usable
            box; the message names the file and the object.
    """
    return scan_voc(folder, split, class_names).checked()


def scan_voc(folder: Path, split: str, class_names: Sequence[str] | None = None, report: Report = refuse) -> ScannedSet:
    """Return what the label files of a split state; faults go to ``report``, and what has them is left out.

    Raises:
        InputError: the list of pictures or of classes cannot be used.
    """
    place = find_voc(folder, split) or VocPlace(
        folder / "Annotations", folder / "JPEGImages", _lists_of(folder) / f"{split}.txt"
    )
    stems = _stems(place)
    names = tuple(class_names) if class_names is not None else _classes_of(folder, place, report)
    pictures = []
    for stem in stems:
        try:
            pictures.append(_scan_picture(place, stem, report))
        except LabelError as error:
            report(error)
    return ScannedSet(names, tuple(pictures), f"VOC {folder}, split {split}", (place.images,))


def _lists_of(folder: Path) -> Path:
    return folder / "ImageSets" / "Main"


def _is_of_one_class(path: Path) -> bool:
    """Whether a list says 1, 0 or -1 after each name, as the devkit's lists of one class do."""
    lines = [line for line in read_label_text(path).splitlines() if line.strip()]
    return bool(lines) and all(_stem_in(line) != line.strip() for line in lines[:20])


def _stem_in(line: str) -> str:
    return _LIST_LINE.sub(r"\g<stem>", line.strip())


def _stems(place: VocPlace) -> list[str]:
    if place.listed is None:
        return sorted(path.stem for path in place.annotations.glob("*.xml"))
    lines = read_label_text(place.listed).splitlines()
    stems = [stem for line in lines if (stem := _stem_in(line))]
    if not stems:
        raise InputError(f"{place.listed} lists no picture", wanted="one name a line")
    return stems


def _classes_of(folder: Path, place: VocPlace, report: Report) -> tuple[str, ...]:
    """The classes of all splits; a fault goes to ``report`` where it belongs to a split that is read."""
    class_file = folder / CLASS_FILE
    if class_file.is_file():
        return read_class_file(class_file)
    beside = place.annotations.parent == folder and place.annotations.name != "Annotations"
    objects: list[LabelledObject] = []
    for path in sorted(folder.glob("*/*.xml") if beside else place.annotations.glob("*.xml")):
        try:
            objects += scan_voc_annotation(path, _tolerant(report))[0]
        except LabelError as error:
            _tolerant(report)(error)
    return checked_class_names(sorted_labels(objects), origin=folder if beside else place.annotations)


def _tolerant(report: Report) -> Report:
    """Refuse where faults are refused; else say nothing, for the scan of the split itself will."""

    def passed_over(_: LabelError) -> None:
        return

    return refuse if report is refuse else passed_over


def _scan_picture(place: VocPlace, stem: str, report: Report) -> ScannedPicture:
    try:
        image = image_with_stem(place.images, stem, origin=place.listed or place.annotations / f"{stem}.xml")
    except LabelError as error:
        error.image = place.images / f"{stem}.jpg"
        raise
    annotation = inner_path(place.annotations, f"{stem}.xml", origin=place.listed or place.annotations)

    def report_with_image(error: LabelError) -> None:
        error.image = image
        report(error)

    try:
        objects, size = scan_voc_annotation(annotation, report_with_image)
    except LabelError as error:
        error.image = image
        raise
    return ScannedPicture(image, annotation, tuple(objects), size)
