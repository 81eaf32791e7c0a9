"""The options of dividing data, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from ssd_edge.core.config import AnyPath, check_limits
from ssd_edge.core.errors import InputError

_LIMITS = {"val_fraction": (0.01, 0.9), "test_fraction": (0.0, 0.9), "seed": (0, float("inf"))}


@dataclass(frozen=True)
class SplitDataConfig:
    """Options of dividing a data set.

    Attributes:
        split: what is divided; None for ``train``, or the only split that there is.
        val_fraction: share of the images for the validation set.
        test_fraction: share of the images for a test set; 0 for none.
        seed: the same gives the same lists.
        output: folder for the lists; None for ``splits/<folder of the data>`` in the workspace.

    Raises:
        InputError: a share is out of range, or nothing is left to train on.
    """

    split: str | None = None
    val_fraction: float = 0.2
    test_fraction: float = 0.0
    seed: int = 0
    output: Path | None = None

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)
        if self.val_fraction + self.test_fraction > 0.95:
            got = f"{self.val_fraction:g} and {self.test_fraction:g}"
            raise InputError(
                "the validation and test shares leave too little to train on", got=got, wanted="a sum of at most 0.95"
            )


class SplitDataOptions(TypedDict, total=False):
    """The fields of :class:`SplitDataConfig`, as keywords."""

    split: str | None
    val_fraction: float
    test_fraction: float
    seed: int
    output: AnyPath | None
