"""The options of the self-test, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from ssd_edge.core.config import AnyPath, check_limits

PAGE = Path("selftest.html")


@dataclass(frozen=True)
class SelftestConfig:
    """Options of the self-test.

    Attributes:
        frames: images that each engine is run on, for its times and its memory.
        html: the HTML page; by default ``selftest.html`` in the workspace.
        camera: number of a camera whose rate is measured against its promise, for five seconds; None for none.
    """

    frames: int = 1000
    html: Path | None = None
    camera: int | None = None

    def __post_init__(self) -> None:
        check_limits(self, {"frames": (1, math.inf)})


class SelftestOptions(TypedDict, total=False):
    """The fields of :class:`SelftestConfig`, as keywords."""

    frames: int
    html: AnyPath | None
    camera: int | None
