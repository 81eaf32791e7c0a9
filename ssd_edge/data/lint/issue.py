"""An issue of a data set, and how bad each kind is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ssd_edge.core.label_errors import LabelError
from ssd_edge.core.sample import Corners

Severity = Literal["error", "warning"]

KINDS: dict[str, tuple[Severity, str]] = {
    "label-unreadable": ("error", "label file missing, damaged, unsafe or too large"),
    "name-unsafe": ("error", "file name that leads out of the data set"),
    "image-missing": ("error", "labels without an image"),
    "image-unreadable": ("error", "file that is damaged, truncated or not an image"),
    "labels-contradict": ("error", "image that is labelled twice, with different objects"),
    "object-malformed": ("error", "object without a name or a box"),
    "too-many-objects": ("error", "more objects than an image can hold"),
    "class-unknown": ("error", "class that is not in the list of classes"),
    "box-not-finite": ("error", "box with a value that is not a finite number"),
    "box-inverted": ("error", "box with its corners swapped, or a negative side"),
    "box-empty": ("error", "box without width or height"),
    "box-outside": ("error", "box completely outside its image"),
    "box-in-fractions": ("error", "box in fractions of its image"),
    "box-over-edge": ("error", "box that extends beyond its image by more than a pixel; it is clipped"),
    "leakage": ("error", "the same image in two splits"),
    "leakage-near": ("warning", "nearly the same image in two splits"),
    "duplicate": ("warning", "the same image twice in a split"),
    "box-tiny": ("warning", "box less than two pixels wide or high"),
    "object-twice": ("warning", "the same object labelled twice"),
    "size-contradicted": ("warning", "labels state a size that differs from the image's size"),
    "no-labels": (
        "warning",
        "image without a label file: training learns nothing from it without --empty-negatives",
    ),
    "unused-labels": ("warning", "label file that belongs to no image of the splits"),
    "unlisted-image": ("warning", "image that no label file and no list names"),
    "class-unused": ("warning", "class without an object"),
}
"""Kind of issue: its severity, and what it is."""


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong.

    Attributes:
        kind: key of :data:`KINDS`.
        split: where it was found.
        file: the label file or image to fix.
        place: the object, e.g. ``object 2 (cat)``; empty where it is the whole file.
        message: what is wrong, in words.
        image: the image that it is about, be it there or not.
        box: x1 y1 x2 y2 in its pixels, where the issue is of a box.
        other: the other image of a pair.
    """

    kind: str
    split: str
    file: Path
    message: str
    place: str = ""
    image: Path | None = None
    box: Corners | None = None
    other: Path | None = None

    @property
    def severity(self) -> Severity:
        """``error`` where something is left out, clipped or refused: what ``train --strict`` does not begin with."""
        return KINDS[self.kind][0]

    @classmethod
    def of_error(cls, error: LabelError, split: str, *, image: Path | None = None, box: Corners | None = None) -> Issue:
        """Return the issue that a reader met."""
        return cls(error.kind, split, error.file, str(error), error.place, image or error.image, box)

    def fields(self) -> dict[str, Any]:
        """Return plain JSON values; numbers that JSON does not have become text."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "split": self.split,
            "file": str(self.file),
            "object": self.place or None,
            "image": str(self.image) if self.image else None,
            "other": str(self.other) if self.other else None,
            "box": [value if math.isfinite(value) else repr(value) for value in self.box] if self.box else None,
            "message": self.message,
        }
