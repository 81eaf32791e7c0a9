"""The names of the metrics."""

from __future__ import annotations

from enum import Enum


class Method(str, Enum):
    """How a range is chosen; ``auto`` measures which of the others serves the model best."""

    AUTO = "auto"
    MINMAX = "minmax"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"


class Metric(str, Enum):
    """How a precision-recall curve becomes one number."""

    VOC = "voc"
    VOC07 = "voc07"

    @property
    def description(self) -> str:
        """What it is, in words."""
        return {"voc": "VOC, area under the curve", "voc07": "VOC2007, 11 points"}[self.value]
