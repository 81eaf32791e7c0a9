"""One Pascal VOC annotation: the objects of a picture in XML (VOC devkit, section 3.3)."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from ssd_edge.data.faults import LabelError, Report, refuse
from ssd_edge.data.label_files import inner_path, read_label_text
from ssd_edge.data.sample import LabelledObject, refuse_too_many

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
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
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
