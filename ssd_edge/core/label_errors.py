"""Label errors: a reader collects them and continues with the valid labels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ssd_edge.core.errors import InputError

LabelFaultKind = Literal[
    "label-unreadable",
    "name-unsafe",
    "image-missing",
    "image-unreadable",
    "labels-contradict",
    "object-malformed",
    "class-unknown",
    "box-not-finite",
    "box-inverted",
    "box-empty",
    "box-outside",
    "box-over-edge",
    "box-in-fractions",
    "too-many-objects",
]


class LabelError(InputError):
    """A label file, or one object in it, that cannot be used.

    Attributes:
        kind: which fault it is.
        file: the label file.
        place: the object, e.g. ``object 2 (cat)``; empty where the whole file is at fault.
        image: the image that the labels belong to, where it is known.
    """

    def __init__(
        self,
        kind: LabelFaultKind,
        what: str,
        *,
        file: Path,
        place: str = "",
        got: str = "",
        wanted: str = "",
        do: str = "",
    ) -> None:
        super().__init__(what, got=got, wanted=wanted, do=do)
        self.kind, self.file, self.place = kind, file, place
        self.image: Path | None = None

    @classmethod
    def at(cls, kind: LabelFaultKind, path: Path, place: str, what: str, *, got: str, wanted: str = "") -> LabelError:
        """Return the error for one place in a file; ``what`` goes on from the place: ``has no usable area``."""
        return cls(kind, f"{path}: {place} {what}", file=path, place=place, got=got, wanted=wanted)
