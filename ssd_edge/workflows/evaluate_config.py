"""The options of an evaluation, with their defaults; imports nothing heavy, as the command line shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from ssd_edge.core.choices import GateFigure, Metric
from ssd_edge.core.config import AnyPath, check_limits
from ssd_edge.core.tolerance import MAX_BAD

_LIMITS = {
    "iou_threshold": (0.01, 1.0),
    "score_threshold": (0.0, 1.0),
    "min_map": (0.0, 1.0),
    "max_drop_points": (0.0, math.inf),
    "max_bad": (0.0, 1.0),
    "cores": (1, math.inf),
}


@dataclass(frozen=True)
class EvaluateConfig:
    """Options of an evaluation.

    Attributes:
        split: part of the data set to evaluate on; None for ``test`` or, where there is none, the images that the
            model's run set aside.
        metric: how a precision-recall curve becomes one number.
        iou_threshold: overlap that makes a detection right, 0 to 1.
        coco: count COCO's AP and AR too.
        score_threshold: of the table of recall and precision, and of the images in the report; 0 to 1.
        min_map: least figure of a model, 0 to 1; None for no such gate.
        max_drop_points: most hundredths that a model may lie below the reference; None for no such gate.
        baseline: an earlier evaluation as JSON, whose first model is the reference; None for the first model here.
        gate_on: the figure that the gates go by.
        max_bad: largest share of the images, or of the objects, that may be left out, 0 to 1.
        strict: refuse the first fault of the data instead.
        cores: processor cores to use; None for all.
        device: what engines of OpenVINO compute on (``cpu``, ``gpu``, ``gpu:1``, ``npu`` or ``auto``), and checkpoints
            (``cpu``, ``cuda``, ``mps`` or ``auto``); None for the processor.
        html: the HTML page to write; None for none.
    """

    split: str | None = None
    metric: Metric = Metric.VOC
    iou_threshold: float = 0.5
    coco: bool = False
    score_threshold: float = 0.5
    min_map: float | None = None
    max_drop_points: float | None = None
    baseline: Path | None = None
    gate_on: GateFigure = GateFigure.MAP
    max_bad: float = MAX_BAD
    strict: bool = False
    cores: int | None = None
    device: str | None = None
    html: Path | None = None

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)

    @property
    def counts_coco(self) -> bool:
        """Whether COCO's numbers are counted: they are asked for, or a gate goes by them."""
        return self.coco or self.gate_on.is_coco


class EvaluateOptions(TypedDict, total=False):
    """The fields of :class:`EvaluateConfig`, as keywords."""

    split: str | None
    metric: Metric | Literal["voc", "voc07"]
    iou_threshold: float
    coco: bool
    score_threshold: float
    min_map: float | None
    max_drop_points: float | None
    baseline: AnyPath | None
    gate_on: GateFigure | Literal["map", "map-50-95", "coco-ap", "coco-ap50"]
    max_bad: float
    strict: bool
    cores: int | None
    device: str | None
    html: AnyPath | None
