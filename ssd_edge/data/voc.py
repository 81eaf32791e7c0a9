"""Pascal VOC annotations: one XML an image (VOC devkit, section 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import refuse_unlisted
from ssd_edge.core.label_errors import LabelError
from ssd_edge.core.sample import LabelledObject, refuse_too_many
from ssd_edge.core.xml_parser import parse_xml
from ssd_edge.data.label_files import (
    ImageFolders,
    checked_class_names,
    files_named,
    inner_path,
    is_image_name,
    is_there,
    missing_image,
    read_label_lines,
    read_label_text,
)
from ssd_edge.data.scan import ScannedImage, ScannedSet, measured_image, of_image

_UNSAFE_XML = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_FLAGGED = re.compile(r"^(?P<name>.*\S)\s+-?[01]$")  # lists of one class say 1, 0 or -1 after the name
_MAX_LIST_BYTES = 1 << 30


@dataclass(frozen=True)
class VocAnnotation:
    """Contents of one XML file.

    Attributes:
        objects: those whose place is known; with an empty label where they have no name.
        size: (width, height) of the image, where it states them.
        image_name: of the image's file, without its folders; empty where it does not say.
        faults: objects whose place is not known.
    """

    objects: tuple[LabelledObject, ...]
    size: tuple[int, int] | None
    image_name: str
    faults: tuple[LabelError, ...]


def read_voc_annotation(path: Path) -> VocAnnotation:
    """Return what one annotation file states.

    Corners in the file are 1-based and inclusive; xmin ymin xmax ymax become xmin - 1, ymin - 1, xmax, ymax.

    Raises:
        LabelError: the file is unreadable or unsafe, or names more objects than an image can have.
    """
    root = _parse_xml(path)
    nodes = root.findall("object")
    refuse_too_many(len(nodes), path)
    objects, faults = [], []
    for number, node in enumerate(nodes, start=1):
        try:
            objects.append(_read_object(path, number, node))
        except LabelError as error:
            faults.append(error)
    name = PurePosixPath((root.findtext("filename") or "").strip().replace("\\", "/")).name
    return VocAnnotation(tuple(objects), _stated_size(root), name, tuple(faults))


def _stated_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """The image's width and height, where the annotation states them; some tools write 0 for unknown."""
    texts = [(root.findtext(f"size/{key}") or "").strip() for key in ("width", "height")]
    if not all(text.isdecimal() and len(text) < 8 and int(text) > 0 for text in texts):
        return None
    return int(texts[0]), int(texts[1])


def _parse_xml(path: Path) -> ElementTree.Element:
    text = read_label_text(path)
    if _UNSAFE_XML.search(text):
        raise LabelError(
            "label-unreadable",
            f"{path} contains a DOCTYPE or ENTITY declaration, which is not allowed (entities can expand without "
            "limit)",
            file=path,
            wanted="an annotation without it",
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


def _read_object(path: Path, number: int, node: ElementTree.Element) -> LabelledObject:
    label, place = (node.findtext("name") or "").strip(), f"object {number}"
    named = f"{place} ({label})" if label else place
    corners = [_read_corner(path, named, node, key) for key in ("xmin", "ymin", "xmax", "ymax")]
    is_plain = (node.findtext("difficult") or "0").strip().lower() in ("0", "false", "unspecified", "")
    box = (corners[0] - 1, corners[1] - 1, corners[2], corners[3])
    return LabelledObject.of_box(label, box, not is_plain, place=place)


def _read_corner(path: Path, place: str, node: ElementTree.Element, key: str) -> float:
    text = node.findtext(f"bndbox/{key}")
    try:
        return float(text or "")
    except ValueError:
        got, wanted = repr(text)[:80], "a number of pixels"
        what = f"has no usable <{key}>"
        raise LabelError.at("object-malformed", path, place, what, got=got, wanted=wanted) from None


@dataclass(frozen=True)
class VocPlace:
    """Return the folder of a split.

    Attributes:
        annotations: folder of the XML files.
        images: where their images are looked for.
        lists: the files that list the split's images; empty where every annotation belongs to it.
        root: folder of the data set, which absolute names must lie in.
        all_annotations: folders whose objects name the classes of all splits, so that every split numbers them alike.
        class_names: as a file of the data set lists them; None where none does.
        origin: for messages.
    """

    annotations: Path
    images: ImageFolders
    lists: tuple[Path, ...]
    root: Path
    all_annotations: tuple[Path, ...]
    class_names: tuple[str, ...] | None
    origin: str


def scan_voc(place: VocPlace, class_names: Sequence[str] | None = None) -> ScannedSet:
    """Return what the label files of a split state. An image without an annotation has no objects.

    Args:
        place: where it lies.
        class_names: the classes in the order of their numbers; by default as the data set lists them, and without
            that all labels of all annotations, in alphabetical order.

    Raises:
        InputError: the list of images or of classes cannot be used.
    """
    lost: list[LabelError] = []
    if place.lists:
        entries = _listed_entries(place, lost)
    else:
        entries = [(path.stem, path) for path in files_named(place.annotations, "*.xml")]
    given = class_names if class_names is not None else place.class_names
    names = tuple(given) if given is not None else _labels_of_all(place)
    images = tuple(_scan_image(place, name, annotation) for name, annotation in entries)
    return ScannedSet(names, images, place.origin, "corners", tuple(lost), image_folders=place.images.folders)


def _labels_of_all(place: VocPlace) -> tuple[str, ...]:
    labels: set[str] = set()
    for folder in place.all_annotations:
        for path in files_named(folder, "*.xml"):
            try:
                labels.update(found.label for found in read_voc_annotation(path).objects if found.label)
            except LabelError:
                continue  # the scan of its split names it
    for folder in place.all_annotations:
        refuse_unlisted(folder)  # or its classes would be missing
    return checked_class_names(sorted(labels), origin=place.all_annotations[0])


def _listed_entries(place: VocPlace, lost: list[LabelError]) -> list[tuple[str, Path]]:
    """The name and the annotation of each listed image, each once however many lists of one class name it."""
    lines = [line.strip() for path in place.lists for line in read_label_lines(path, limit_bytes=_MAX_LIST_BYTES)]
    entries: list[tuple[str, Path]] = []
    for line in filter(None, lines if len(place.lists) == 1 else dict.fromkeys(map(without_flag, lines))):
        try:
            entries.append(_entry(place, line))
        except LabelError as error:
            lost.append(error)
    if not entries and not lost:
        raise InputError(f"{place.lists[0]} lists no image", wanted="one image name per line")
    return entries


def without_flag(line: str) -> str:
    """Return a list's line without the 1, 0 or -1 that lists of one class have after the name."""
    match = _FLAGGED.match(line)
    return match["name"] if match else line


def _entry(place: VocPlace, line: str) -> tuple[str, Path]:
    """The whole line first, then without a suffix of images, then without the flag."""
    candidates = [name for text in dict.fromkeys((line, without_flag(line))) for name in _names(place, text)]
    for name in candidates:
        annotation = _annotation(place, name)
        if place.images.find(name) is not None or is_there(annotation):
            return name, annotation
    return candidates[-1], _annotation(place, candidates[-1])


def _names(place: VocPlace, text: str) -> list[str]:
    """The names that a line may mean, relative to the folders of images."""
    path = inner_path(place.root, text.replace("\\", "/"), origin=place.lists[0], root=place.root)
    for folder in (*place.images.folders, place.annotations):
        if path.is_relative_to(folder):
            text = str(path.relative_to(folder))
            break
    text = text.removeprefix("./")
    return [text, text.rpartition(".")[0]] if is_image_name(text) or text.endswith(".xml") else [text]


def _annotation(place: VocPlace, name: str) -> Path:
    path = PurePosixPath(name)
    stem = path.with_suffix("") if is_image_name(path.name) else path
    return place.annotations / f"{stem}.xml"


def _scan_image(place: VocPlace, name: str, annotation: Path) -> ScannedImage:
    listed = place.lists[0] if place.lists else annotation
    image = place.images.find(name)
    try:
        has_labels = is_there(annotation)
        found = read_voc_annotation(annotation) if has_labels else VocAnnotation((), None, "", ())
        image = image or _stated_image(place, found.image_name)
        if image is None:
            raise missing_image(place.images.folders[0] / f"{name}.*", origin=listed)
    except LabelError as error:
        image = image or place.images.folders[0] / f"{name}.jpg"
        return ScannedImage(image, annotation, faults=(of_image(error, image),))
    size, unreadable = measured_image(image)
    faults = (*unreadable, *(of_image(fault, image) for fault in found.faults))
    return ScannedImage(image, annotation, found.objects, size, found.size, has_labels, faults)


def _stated_image(place: VocPlace, name: str) -> Path | None:
    """The image that an annotation of another name states, unless that image has an annotation of its own."""
    image = place.images.find(name)
    return None if image is None or is_there(_annotation(place, image.name)) else image
