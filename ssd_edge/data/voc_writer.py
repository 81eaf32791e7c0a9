"""Writes Pascal VOC folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import written_beside
from ssd_edge.data.label_files import CLASS_FILE
from ssd_edge.data.sample import LabelledObject


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
