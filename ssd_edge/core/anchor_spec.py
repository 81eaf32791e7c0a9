"""AnchorSpec: which anchors a network has, by rule or by table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

AnchorClip = Literal["none", "size", "centre"]


@dataclass(frozen=True)
class AnchorLevel:
    """The anchors of one feature map (SSD, section 2.2).

    Attributes:
        rows, cols: cells of the feature map.
        step: (y, x) distance of cell centers as a fraction of the input's height and width; the center of cell
            (i, j) is ((j + 0.5) * step x, (i + 0.5) * step y).
        sizes: (w, h) of each anchor of a cell, as fractions of the input's width and height.
    """

    rows: int
    cols: int
    step: tuple[float, float]
    sizes: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """Raise ValueError where a cell has no anchor; files are read through this, too."""
        if not self.sizes:
            raise ValueError("a feature map has no anchors")


@dataclass(frozen=True)
class AnchorTable:
    """Anchors that lie in an imported graph and follow no rule that is known.

    Attributes:
        count: number of anchors.
        digest: ``sha256:…`` of the (count, 4) float32 table cx cy w h; empty where the graph came with its boxes
            decoded already: its anchors are then unknown, and the spec's box coding has no meaning.
    """

    count: int
    digest: str = ""


@dataclass(frozen=True)
class AnchorSpec:
    """All anchors: level by level, cells row by row, the boxes of a cell innermost.

    Attributes:
        clip: ``none``; ``size`` clamps w and h to 0..1 (torchvision); ``center`` clamps cx, cy, w and h to 0..1
            (the original code and its descendants).
        table: stands in place of the levels for a graph that was imported.
    """

    levels: tuple[AnchorLevel, ...]
    clip: AnchorClip = "none"
    table: AnchorTable | None = None

    @property
    def count(self) -> int:
        """Number of anchors."""
        if self.table is not None:
            return self.table.count
        return sum(level.rows * level.cols * len(level.sizes) for level in self.levels)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> AnchorSpec:
        """Return the spec that ``dataclasses.asdict`` turned into these fields; ``clip`` and ``table`` may be absent.

        Raises:
            ValueError: a field is missing or of another type.
        """
        try:
            return msgspec.convert(fields, cls)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error
