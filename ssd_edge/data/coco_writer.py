"""Writes COCO instances files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssd_edge.core.files import written_beside
from ssd_edge.data.sample import LabelledObject


class CocoWriter:
    """Writes annotations/instances_<split>.json and images/<split>/*.jpg; category ids start at 1."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, tuple(class_names)
        self._splits: dict[str, dict[str, list[dict[str, Any]]]] = {}

    def image_path(self, split: str, stem: str) -> Path:
        """Return images/<split>/<stem>.jpg."""
        return self._folder / "images" / split / f"{stem}.jpg"

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
