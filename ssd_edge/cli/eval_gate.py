"""The gates of ``ssd-edge eval``: a pipeline stops where a model is worse than demanded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.core.errors import InputError
from ssd_edge.evaluation.gate_figure import GateFigure

if TYPE_CHECKING:
    from ssd_edge.data.sample import LabelledSet
    from ssd_edge.evaluation.gate import Reference
    from ssd_edge.evaluation.metric import Metric


@dataclass(frozen=True)
class Gate:
    """What is demanded.

    Attributes:
        figure: by which models are judged.
        min_map: the least.
        max_drop: the most points that a model may lie below the reference.
        baseline: an earlier ``--json``, whose first model is the reference; None for the first of these models.
    """

    figure: GateFigure
    min_map: float | None
    max_drop: float | None
    baseline: Path | None

    def refuse_half_a_wish(self, models: int) -> None:
        """Raise InputError for options that would say nothing of so many models, before any work is done."""
        if self.baseline is not None and self.max_drop is None:
            raise InputError(
                "--baseline needs --max-drop", do="Say how many points of mAP may be lost: --max-drop 0.5."
            )
        if self.max_drop is not None and models < 2 and self.baseline is None:
            raise InputError("--max-drop needs something to count from", wanted="two models or more, or --baseline")
        if self.figure is not GateFigure.MAP and self.min_map is None and self.max_drop is None:
            raise InputError("--gate-on needs a gate", got=self.figure.value, wanted="--min-map or --max-drop besides")

    def reference(self, labelled: LabelledSet, metric: Metric, iou: float) -> Reference | None:
        """Return what the baseline says; None without one.

        Raises:
            InputError: it cannot be compared with.
        """
        from ssd_edge.evaluation.gate import read_baseline

        return None if self.baseline is None else read_baseline(self.baseline, labelled, metric, iou, self.figure)

    def judge(self, found: Mapping[str, float], reference: Reference | None) -> None:
        """Raise AccuracyError where one of these figures is not good enough."""
        from ssd_edge.evaluation.gate import Reference, refuse_below, refuse_drop

        if self.min_map is not None:
            refuse_below(self.min_map, found, self.figure)
        if self.max_drop is not None:
            refuse_drop(self.max_drop, reference or Reference(*next(iter(found.items()))), found, self.figure)
