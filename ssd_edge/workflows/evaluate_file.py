"""Evaluate one model file, whatever room it belongs to; apart from opening one, which needs no evaluation."""

from __future__ import annotations

from pathlib import Path

from ssd_edge.core.choices import Metric
from ssd_edge.core.progress import Progress, silent
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.tolerance import TOLERANT, Tolerance
from ssd_edge.evaluation.evaluate import Evaluation, evaluate
from ssd_edge.workflows.open_model import open_model


def evaluate_file(
    path: Path,
    labelled: LabelledSet,
    *,
    metric: Metric,
    iou_threshold: float = 0.5,
    cores: int | None = None,
    device: str | None = None,
    tolerance: Tolerance = TOLERANT,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate and time one model file on a labelled set.

    Raises:
        SsdEdgeError: as :func:`open_model` and ``evaluation.evaluate`` raise.
    """
    with open_model(path, cores, device) as model:
        names = model.spec.class_names
        return evaluate(
            model.detect,
            names,
            labelled,
            metric=metric,
            iou_threshold=iou_threshold,
            tolerance=tolerance,
            progress=progress,
        )
