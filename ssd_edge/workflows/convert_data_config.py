"""The options of a conversion, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.core.choices import LabelFormat
from ssd_edge.core.config import AnyPath, check_limits
from ssd_edge.core.tolerance import MAX_BAD


@dataclass(frozen=True)
class ConvertDataConfig:
    """Options for writing a data set in another format.

    Attributes:
        to: format of the labels.
        output: folder to write, new or empty; None for ``converted/<folder of the data>-<format>`` in the workspace.
        splits: what is converted, parts of a list such as ``split.json:val`` too; None for all splits.
        classes: the names in the order of their numbers; None for those that the data state.
        link: make symbolic links to the images instead of copies.
        max_bad: largest share of the images, or of the objects, that may be left out, 0 to 1.
        strict: refuse the first fault of the data instead.

    Raises:
        InputError: a share is out of its limits.
    """

    to: LabelFormat = LabelFormat.COCO
    output: Path | None = None
    splits: tuple[str, ...] | None = None
    classes: str | tuple[str, ...] | None = None
    link: bool = False
    max_bad: float = MAX_BAD
    strict: bool = False

    def __post_init__(self) -> None:
        check_limits(self, {"max_bad": (0.0, 1.0)})


class ConvertDataOptions(TypedDict, total=False):
    """The fields of :class:`ConvertDataConfig`, as keywords."""

    to: LabelFormat | Literal["voc", "coco", "yolo"]
    output: AnyPath | None
    splits: Sequence[str] | None
    classes: str | Sequence[str] | None
    link: bool
    max_bad: float
    strict: bool
