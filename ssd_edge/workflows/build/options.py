"""Parts of a build's config that the command line shows; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.config import AnyPath, shown_number
from ssd_edge.core.errors import InputError
from ssd_edge.core.workspace_records import ENGINES
from ssd_edge.engines.options import TrtOptions

BATCH = TrtOptions.batch
TIMING_CACHE = Path(ENGINES) / "timing.cache"
"""File of what TensorRT measured, by default, in the workspace."""


@dataclass(frozen=True)
class AccuracyGate:
    """Labelled images to evaluate the lowered model on, and what may be lost.

    Attributes:
        dataset: a labelled data set.
        split: its part to evaluate on.
        max_drop_points: points (hundredths) of mAP that INT8 may lose: the worst layers return to float for it. None
            measures the accuracy and sets no limit.
    """

    dataset: AnyPath
    split: str = "val"
    max_drop_points: float | None = None

    def __post_init__(self) -> None:
        if self.max_drop_points is not None and not self.max_drop_points >= 0:
            raise InputError(
                "max_drop_points is out of range", got=shown_number(self.max_drop_points), wanted="0 or more"
            )
