"""Default choice of calibration images; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageChoice:
    """Choice of calibration images.

    Attributes:
        split: part of a data set; not the one that models are evaluated on.
        limit: images to choose.
        seed: another seed chooses other images.
    """

    split: str = "train"
    limit: int = 256
    seed: int = 0
