"""Pascal VOC folders: Annotations/*.xml, JPEGImages/*.jpg, ImageSets/Main/<split>.txt (VOC devkit, section 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside
from ssd_edge.data.label_files import (
    CLASS_FILE,
    checked_class_names,
    image_with_stem,
    inner_path,
    read_class_file,
    read_label_text,
)
from ssd_edge.data.sample import LabelledObject, LabelledSet, Sample, sorted_labels

_LIST_LINE = re.compile(r"^(?P<stem>.*?)(?:\s+-?[01])?$")  # lists of one class say 1, 0 or -1 after the name
_UNSAFE_XML = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def read_voc(folder: Path, split: str, class_names: Sequence[str] | None = None) -> LabelledSet:
    """Return the pictures that ImageSets/Main/<split>.txt lists, with their objects.

    Corners in the files are 1-based and inclusive; xmin ymin xmax ymax become xmin - 1, ymin - 1, xmax, ymax.

    Args:
        folder: holds Annotations, JPEGImages and ImageSets.
        split: name of a list, e.g. ``train``.
        class_names: the classes in the order of their numbers; by default those of ``labels.txt``, and without that
            all labels of all annotations, in alphabetical order, so that every split numbers them alike.

    Raises:
        InputError: a list, annotation or picture is missing or damaged, or an object has no known class or no usable
            box; the message names the file and the object.
    """
    list_path = folder / "ImageSets" / "Main" / f"{split}.txt"
    stems = [_LIST_LINE.sub(r"\g<stem>", line.strip()) for line in read_label_text(list_path).splitlines()]
    stems = [stem for stem in stems if stem]
    if not stems:
        raise InputError(f"{list_path} lists no picture", wanted="one name a line")
    if class_names is None:
        class_names = _classes_of(folder)
    samples = tuple(_read_sample(folder, stem, class_names, list_path) for stem in stems)
    return LabelledSet(tuple(class_names), samples, f"VOC {folder}, split {split}")


def read_voc_annotation(path: Path) -> list[LabelledObject]:
    """Return the objects of one annotation file, not yet checked for their class and box.

    Raises:
        InputError: the file is unreadable or unsafe, or an object lacks its name or its box.
    """
    root = _parse_xml(path)
    inner_path(path.parent, root.findtext("filename") or path.stem, origin=path)
    return [_read_object(path, number, node) for number, node in enumerate(root.findall("object"), start=1)]


class VocWriter:
    """Writes a VOC folder; ``labels.txt`` keeps the order of the classes. Corners are written to 1/100 pixel."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, tuple(class_names)
        self._stems: dict[str, list[str]] = {}
        self._split_of: dict[str, str] = {}

    def image_path(self, split: str, stem: str) -> Path:
        """Return JPEGImages/<stem>.jpg.

        Raises:
            InputError: another split has a picture of this name; all splits share the folder.
        """
        if self._split_of.setdefault(stem, split) != split:
            raise InputError(
                f"picture {stem!r} is in two splits",
                got=f"{self._split_of[stem]} and {split}",
                wanted="names that differ, for VOC keeps all pictures in one folder",
            )
        return self._folder / "JPEGImages" / f"{stem}.jpg"

    def add(self, split: str, image: Path, size: tuple[int, int], objects: Sequence[LabelledObject]) -> None:
        """Write Annotations/<stem>.xml."""
        root = ElementTree.Element("annotation")
        _put(root, folder=image.parent.name, filename=image.name)
        _put(ElementTree.SubElement(root, "size"), width=size[0], height=size[1], depth=3)
        _put(root, segmented=0)
        for found in objects:
            node = ElementTree.SubElement(root, "object")
            _put(node, name=found.label, difficult=int(found.difficult))
            x1, y1, x2, y2 = found.box
            corners = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
            _put(ElementTree.SubElement(node, "bndbox"), **{key: _number(value) for key, value in corners.items()})
        ElementTree.indent(root, " ")
        with written_beside(self._folder / "Annotations" / f"{image.stem}.xml") as partial:
            partial.write_text(ElementTree.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
        self._stems.setdefault(split, []).append(image.stem)

    def close(self) -> None:
        """Write ImageSets/Main/<split>.txt and labels.txt."""
        for split, stems in self._stems.items():
            with written_beside(self._folder / "ImageSets" / "Main" / f"{split}.txt") as partial:
                partial.write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")
        with written_beside(self._folder / CLASS_FILE) as partial:
            partial.write_text("".join(f"{name}\n" for name in self._class_names), encoding="utf-8")


def _classes_of(folder: Path) -> tuple[str, ...]:
    class_file = folder / CLASS_FILE
    if class_file.is_file():
        return read_class_file(class_file)
    annotations = folder / "Annotations"
    objects = [found for path in sorted(annotations.glob("*.xml")) for found in read_voc_annotation(path)]
    return checked_class_names(sorted_labels(objects), origin=annotations)


def _read_sample(folder: Path, stem: str, class_names: Sequence[str], list_path: Path) -> Sample:
    image = image_with_stem(folder / "JPEGImages", stem, origin=list_path)
    annotation = inner_path(folder / "Annotations", f"{stem}.xml", origin=list_path)
    return Sample.from_objects(image, read_voc_annotation(annotation), class_names, origin=annotation)


def _parse_xml(path: Path) -> ElementTree.Element:
    text = read_label_text(path)
    if _UNSAFE_XML.search(text):
        raise InputError(
            f"{path} declares a document type or an entity",
            wanted="a plain annotation; entities can expand without end",
            do="Delete the declaration.",
        )
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is not well-formed XML", got=str(error), wanted="a VOC annotation") from error
    if root.tag != "annotation":
        raise InputError(f"{path} is not a VOC annotation", got=f"<{root.tag}>", wanted="<annotation>")
    return root


def _read_object(path: Path, number: int, node: ElementTree.Element) -> LabelledObject:
    label = (node.findtext("name") or "").strip()
    if not label:
        raise InputError(f"{path}: object {number} has no name", wanted="<name>class</name>")
    corners = [_read_corner(path, f"object {number} ({label})", node, key) for key in ("xmin", "ymin", "xmax", "ymax")]
    difficult = (node.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise InputError(f"{path}: object {number} ({label}) has a wrong <difficult>", got=difficult, wanted="0 or 1")
    return LabelledObject(label, (corners[0] - 1, corners[1] - 1, corners[2], corners[3]), difficult == "1")


def _read_corner(path: Path, what: str, node: ElementTree.Element, key: str) -> float:
    text = node.findtext(f"bndbox/{key}")
    try:
        return float(text or "")
    except ValueError:
        raise InputError(f"{path}: {what} has no usable <{key}>", got=repr(text), wanted="a number of pixels") from None


def _put(node: ElementTree.Element, **values: object) -> None:
    for key, value in values.items():
        ElementTree.SubElement(node, key).text = str(value)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
