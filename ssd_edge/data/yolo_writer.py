"""Writes YOLO folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ssd_edge.core.files import written_beside
from ssd_edge.data.sample import LabelledObject


class YoloWriter:
    """Writes a YOLO folder. Difficult objects are left out: the format cannot mark them."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, tuple(class_names)
        self._splits: list[str] = []

    def image_path(self, split: str, stem: str) -> Path:
        """Return images/<split>/<stem>.jpg."""
        return self._folder / "images" / split / f"{stem}.jpg"

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
