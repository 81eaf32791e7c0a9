"""Pascal VOC folders: Annotations/*.xml, JPEGImages/*.jpg, ImageSets/Main/<split>.txt (VOC devkit, section 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import path_kind
from ssd_edge.core.label_errors import LabelError, Report, refuse
from ssd_edge.core.sample import LabelledObject, refuse_too_many, sorted_labels
from ssd_edge.core.text_parsers import parse_xml
from ssd_edge.data.label_files import (
    CLASS_FILE,
    checked_class_names,
    image_with_stem,
    inner_path,
    read_class_file,
    read_label_text,
)
from ssd_edge.data.scan import ScannedImage, ScannedSet

_UNSAFE_XML = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def scan_voc_annotation(path: Path, report: Report = refuse) -> tuple[list[LabelledObject], tuple[int, int] | None]:
    """Return the objects of one annotation file and the size of the picture as it states it.

    Objects without a name or without four numbers go to ``report``.

    Raises:
        LabelError: the file is unreadable or unsafe, or names more objects than a picture can have.
    """
    root = _parse_xml(path)
    inner_path(path.parent, root.findtext("filename") or path.stem, origin=path)
    nodes = root.findall("object")
    refuse_too_many(len(nodes), path)
    objects = []
    for number, node in enumerate(nodes, start=1):
        try:
            objects.append(_read_object(path, number, node))
        except LabelError as error:
            report(error)
    return objects, _stated_size(root)


def _stated_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """The picture's width and height, where the annotation states them; some tools write 0 for unknown."""
    texts = [(root.findtext(f"size/{key}") or "").strip() for key in ("width", "height")]
    if not all(text.isdecimal() and len(text) < 8 and int(text) > 0 for text in texts):
        return None
    return int(texts[0]), int(texts[1])


def _parse_xml(path: Path) -> ElementTree.Element:
    text = read_label_text(path)
    if _UNSAFE_XML.search(text):
        raise LabelError(
            "label-unreadable",
            f"{path} declares a document type or an entity",
            file=path,
            wanted="a plain annotation; entities can expand without end",
            do="Delete the declaration.",
        )
    try:
        root = parse_xml(text)
    except ValueError as error:
        raise _unreadable(path, "is not well-formed XML", got=str(error), wanted="a VOC annotation") from error
    if root.tag != "annotation":
        raise _unreadable(path, "is not a VOC annotation", got=f"<{root.tag[:80]}>", wanted="<annotation>")
    return root


def _unreadable(path: Path, what: str, *, got: str, wanted: str) -> LabelError:
    return LabelError("label-unreadable", f"{path} {what}", file=path, got=got, wanted=wanted)


def _malformed(path: Path, place: str, what: str, *, got: str = "", wanted: str) -> LabelError:
    return LabelError("object-malformed", f"{path}: {place} {what}", file=path, place=place, got=got, wanted=wanted)


def _read_object(path: Path, number: int, node: ElementTree.Element) -> LabelledObject:
    label = (node.findtext("name") or "").strip()
    if not label:
        raise _malformed(path, f"object {number}", "has no name", wanted="<name>class</name>")
    place = f"object {number} ({label})"
    corners = [_read_corner(path, place, node, key) for key in ("xmin", "ymin", "xmax", "ymax")]
    difficult = (node.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise _malformed(path, place, "has a wrong <difficult>", got=difficult, wanted="0 or 1")
    box = (corners[0] - 1, corners[1] - 1, corners[2], corners[3])
    return LabelledObject.of_box(label, box, difficult == "1", place=f"object {number}")


def _read_corner(path: Path, place: str, node: ElementTree.Element, key: str) -> float:
    text = node.findtext(f"bndbox/{key}")
    try:
        return float(text or "")
    except ValueError:
        got, wanted = repr(text)[:80], "a number of pixels"
        raise _malformed(path, place, f"has no usable <{key}>", got=got, wanted=wanted) from None


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


def scan_voc(folder: Path, split: str, class_names: Sequence[str] | None = None, report: Report = refuse) -> ScannedSet:
    """Return what the label files of a split state; faults go to ``report``, and what has them is left out.

    Corners in the files are 1-based and inclusive; xmin ymin xmax ymax become xmin - 1, ymin - 1, xmax, ymax.

    Args:
        folder: holds Annotations, JPEGImages and ImageSets; see :func:`find_voc` for other layouts.
        split: name of a list, e.g. ``train``.
        class_names: the classes in the order of their numbers; by default those of ``labels.txt``, and without that
            all labels of all annotations, in alphabetical order, so that every split numbers them alike.
        report: told of each fault; by default the first one is raised.

    Raises:
        InputError: the list of images or of classes cannot be used; by default also where an annotation or image is
            missing or damaged, and the message names the file and the object.
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


def _scan_picture(place: VocPlace, stem: str, report: Report) -> ScannedImage:
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
    return ScannedImage(image, annotation, tuple(objects), size)
