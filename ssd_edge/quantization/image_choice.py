"""Which images a model is calibrated with where nothing else is said; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageChoice:
    """How calibration images are chosen.

    Attributes:
        split: part of a data set; not the one that models are evaluated on.
        limit: images to choose.
        seed: another seed chooses other images.
    """

    split: str = "train"
    limit: int = 256
    seed: int = 0
