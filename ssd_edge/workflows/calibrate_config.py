"""The options of a calibration, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.core.choices import Method
from ssd_edge.core.config import AnyPath, check_limits
from ssd_edge.core.tolerance import MAX_BAD
from ssd_edge.quantization.image_choice import ImageChoice

IMAGES = ImageChoice()
"""Default choice of images."""


@dataclass(frozen=True)
class CalibrateConfig:
    """Options of a calibration.

    Attributes:
        method: how ranges are chosen; ``auto`` measures which serves this model best.
        split: part of a data set; by default the training split. Not the one that models are evaluated on.
        max_images: images to choose; by default 256.
        seed: of the choice of images; by default 0.
        keep_images: copy the images to ``calibration/<model>.images/``, to calibrate elsewhere.
        output: the table; by default ``calibration/<model>.ranges.json`` of the workspace.
        max_bad: largest share of the images that may be left out because they cannot be read, 0 to 1.
        strict: refuse the first of them instead.
    """

    method: Method = Method.AUTO
    split: str | None = None
    max_images: int | None = None
    seed: int | None = None
    keep_images: bool = False
    output: Path | None = None
    max_bad: float = MAX_BAD
    strict: bool = False

    def __post_init__(self) -> None:
        check_limits(self, {"seed": (0, math.inf), "max_bad": (0.0, 1.0)})


class CalibrateOptions(TypedDict, total=False):
    """The fields of :class:`CalibrateConfig`, as keywords."""

    method: Method | Literal["auto", "minmax", "percentile", "entropy", "mse"]
    split: str | None
    max_images: int | None
    seed: int | None
    keep_images: bool
    output: AnyPath | None
    max_bad: float
    strict: bool
