"""The options of fitting anchors, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from ssd_edge.core.config import AnyPath, check_limits

PRIORS = Path("priors.json")
"""Default file of fitted anchors, in the workspace."""


@dataclass(frozen=True)
class FitPriorsConfig:
    """Options of fitting anchors.

    Attributes:
        preset: the network; None for the one that ``train`` chooses for this data set.
        input_size: side of its input in pixels, or (width, height); None for the one that ``train`` uses.
        split: images to fit to.
        val_split: images to evaluate the fit on besides; None for val if there is one.
        per_level: boxes of a cell: one number, or one for each feature map; None for as many as there are now.
        output: the file to write; None for ``priors.json`` in the workspace.
        seed: of the first centers, 0 or more.
    """

    preset: str | None = None
    input_size: int | tuple[int, int] | None = None
    split: str = "train"
    val_split: str | None = None
    per_level: tuple[int, ...] | int | None = None
    output: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_limits(self, {"seed": (0, math.inf)})


class FitPriorsOptions(TypedDict, total=False):
    """The fields of :class:`FitPriorsConfig`, as keywords."""

    preset: str | None
    input_size: int | tuple[int, int] | list[int] | None
    split: str
    val_split: str | None
    per_level: tuple[int, ...] | list[int] | int | None
    output: AnyPath | None
    seed: int
