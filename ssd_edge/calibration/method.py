"""The names of the ways to choose a range; apart, so that the command line knows them without numpy."""

from __future__ import annotations

from enum import Enum


class Method(str, Enum):
    """How a range is chosen; ``auto`` measures which of the others serves the model best."""

    AUTO = "auto"
    MINMAX = "minmax"
    PERCENTILE = "percentile"
    ENTROPY = "entropy"
    MSE = "mse"
