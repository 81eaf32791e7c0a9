"""Writers of labelled data sets: Pascal VOC, COCO and YOLO folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside
from ssd_edge.core.sample import LabelledObject
from ssd_edge.data.label_files import CLASS_FILE


class SetWriter(Protocol):
    """Writes a labelled set image by image; the images themselves are written by the caller."""

    def image_path(self, split: str, stem: str, suffix: str = ".jpg") -> Path:
        """Return where the image named ``stem`` of this split must be written."""

    def add(self, split: str, image: Path, size: tuple[int, int], objects: Sequence[LabelledObject]) -> None:
        """Record the labels of an image of (width, height) pixels."""

    def close(self) -> None:
        """Write the lists that name what was added."""


class CocoWriter:
    """Writes annotations/instances_<split>.json and images/<split>/*; category ids start at 1."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, tuple(class_names)
        self._splits: dict[str, dict[str, list[dict[str, Any]]]] = {}

    def image_path(self, split: str, stem: str, suffix: str = ".jpg") -> Path:
        """Return images/<split>/<stem> with its suffix."""
        return self._folder / "images" / split / f"{stem}{suffix}"

    def add(self, split: str, image: Path, size: tuple[int, int], objects: Sequence[LabelledObject]) -> None:
        """Keep the labels until ``close``."""
        written = self._splits.setdefault(split, {"images": [], "annotations": []})
        number = len(written["images"]) + 1
        written["images"].append({"id": number, "file_name": image.name, "width": size[0], "height": size[1]})
        for found in objects:
            x1, y1, x2, y2 = found.box
            entry = {"id": len(written["annotations"]) + 1, "image_id": number}
            entry["category_id"] = self._class_names.index(found.label) + 1
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": found.area, "segmentation": []}
            written["annotations"].append({**entry, **box, "iscrowd": int(found.difficult)})

    def close(self) -> None:
        """Write one instances file for each split."""
        categories = [{"id": number, "name": name} for number, name in enumerate(self._class_names, start=1)]
        for split, written in self._splits.items():
            with written_beside(self._folder / "annotations" / f"instances_{split}.json") as partial:
                partial.write_text(json.dumps({**written, "categories": categories}) + "\n", encoding="utf-8")


class VocWriter:
    """Writes a VOC folder; ``labels.txt`` keeps the order of the classes. Corners are written to 1/100 pixel."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, tuple(class_names)
        self._stems: dict[str, list[str]] = {}
        self._split_of: dict[str, str] = {}

    def image_path(self, split: str, stem: str, suffix: str = ".jpg") -> Path:
        """Return JPEGImages/<stem> with its suffix.

        Raises:
            InputError: another split has an image of this name; all splits share the folder.
        """
        if self._split_of.setdefault(stem, split) != split:
            raise InputError(
                f"image {stem!r} is in two splits",
                got=f"{self._split_of[stem]} and {split}",
                wanted="a different name in each split",
                do="Rename one of the two images: VOC keeps the images of all splits in one folder.",
            )
        return self._folder / "JPEGImages" / f"{stem}{suffix}"

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
        with written_beside(self._folder / "Annotations" / f"{image.stem}.xml", durable=False) as partial:
            partial.write_text(ElementTree.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
        self._stems.setdefault(split, []).append(image.stem)

    def close(self) -> None:
        """Write ImageSets/Main/<split>.txt and labels.txt."""
        for split, stems in self._stems.items():
            with written_beside(self._folder / "ImageSets" / "Main" / f"{split}.txt") as partial:
                partial.write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")
        with written_beside(self._folder / CLASS_FILE) as partial:
            partial.write_text("".join(f"{name}\n" for name in self._class_names), encoding="utf-8")


def _put(node: ElementTree.Element, **values: object) -> None:
    for key, value in values.items():
        ElementTree.SubElement(node, key).text = str(value)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


class YoloWriter:
    """Writes a YOLO folder. Difficult objects are left out: the format cannot mark them."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, tuple(class_names)
        self._splits: list[str] = []

    def image_path(self, split: str, stem: str, suffix: str = ".jpg") -> Path:
        """Return images/<split>/<stem> with its suffix."""
        return self._folder / "images" / split / f"{stem}{suffix}"

    def add(self, split: str, image: Path, size: tuple[int, int], objects: Sequence[LabelledObject]) -> None:
        """Write labels/<split>/<stem>.txt, an empty one where there is no object."""
        if split not in self._splits:
            self._splits.append(split)
        rows = [self._row(found, size) for found in objects if not found.difficult]
        with written_beside(self._folder / "labels" / split / f"{image.stem}.txt", durable=False) as partial:
            partial.write_text("".join(rows), encoding="utf-8")

    def close(self) -> None:
        """Write data.yaml."""
        lines = [f"{split}: images/{split}" for split in self._splits]
        lines += [f"nc: {len(self._class_names)}", f"names: {json.dumps(self._class_names, ensure_ascii=False)}"]
        with written_beside(self._folder / "data.yaml") as partial:
            partial.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _row(self, found: LabelledObject, size: tuple[int, int]) -> str:
        (x1, y1, x2, y2), (width, height) = found.box, size
        unit = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        return " ".join([str(self._class_names.index(found.label)), *(f"{value:.7f}" for value in unit)]) + "\n"


_WRITERS: dict[str, Callable[[Path, Sequence[str]], SetWriter]] = {
    "voc": VocWriter,
    "coco": CocoWriter,
    "yolo": YoloWriter,
}


def open_writer(name: str, folder: Path, class_names: Sequence[str]) -> SetWriter:
    """Return the writer of a layout.

    Raises:
        InputError: there is no such layout.
    """
    if name not in _WRITERS:
        raise InputError(f"label format {name!r} is unknown", wanted=", ".join(_WRITERS))
    return _WRITERS[name](folder, class_names)
