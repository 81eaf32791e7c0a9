"""Refuses models that are worse than demanded, so that a pipeline can stop at them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.errors import AccuracyError, InputError
from ssd_edge.data.sample import LabelledSet
from ssd_edge.evaluation.gate_figure import GateFigure
from ssd_edge.evaluation.metric import Metric
from ssd_edge.evaluation.summary import SUMMARY_FORMAT

_ROUNDING = 1e-9  # points: a drop of just what is allowed is allowed, whatever float arithmetic makes of it


@dataclass(frozen=True)
class Reference:
    """What others are measured against: a model's name and its figure, 0 to 1."""

    name: str
    value: float


def points(mean_ap: float, reference: float) -> float:
    """Return the difference in points, hundredths of mAP; negative where ``mean_ap`` is the worse."""
    return 100 * (mean_ap - reference)


def refuse_below(min_map: float, found: Mapping[str, float], figure: GateFigure = GateFigure.MAP) -> None:
    """Raise AccuracyError where a model's figure is under ``min_map``; all that are, are named."""
    poor = {name: value for name, value in found.items() if value < min_map}
    if poor:
        raise AccuracyError(
            f"{', '.join(poor)} {'is' if len(poor) == 1 else 'are'} not accurate enough",
            got=", ".join(f"{figure.label} {value:.4f}" for value in poor.values()),
            wanted=f"at least {min_map:g} (--min-map)",
        )


def refuse_drop(
    max_drop: float, reference: Reference, found: Mapping[str, float], figure: GateFigure = GateFigure.MAP
) -> None:
    """Raise AccuracyError where a model lies more than ``max_drop`` points under the reference; all are named."""
    drops = {name: -points(value, reference.value) for name, value in found.items()}
    poor = {name: drop for name, drop in drops.items() if drop > max_drop + _ROUNDING}
    if poor:
        verb = "loses" if len(poor) == 1 else "lose"
        raise AccuracyError(
            f"{', '.join(poor)} {verb} too much against {reference.name} ({figure.label} {reference.value:.4f})",
            got=", ".join(f"{drop:.2f} points" for drop in poor.values()),
            wanted=f"at most {max_drop:g} (--max-drop)",
        )


def read_baseline(
    path: Path,
    labelled: LabelledSet,
    metric: Metric,
    iou_threshold: float,
    figure: GateFigure = GateFigure.MAP,
) -> Reference:
    """Return the first model of what ``ssd-edge eval --json`` wrote earlier, and its figure.

    Raises:
        InputError: the file cannot be read, is no such file, or was judged in another way or on another set.
    """
    wanted = f"a file of ssd-edge eval --json ({SUMMARY_FORMAT})"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        form = fields["format"]
        judged = (fields["metric"], float(fields["iou_threshold"]), int(fields["images"]))
        labels = str(fields["labels"])
        first = fields["models"][0]
        if figure.is_coco and "coco" not in first:
            raise InputError(
                f"{path} holds no {figure.label}", do="Judge its model again: ssd-edge eval MODEL DATASET --coco --json"
            )
        reference = Reference(f"{first['path']} of {path}", figure.saved(first))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path} is no baseline", got=f"{type(error).__name__}: {error}", wanted=wanted) from error
    if form != SUMMARY_FORMAT or not math.isfinite(reference.value):
        raise InputError(
            f"{path} is no baseline", got=f"format {form!r}, {figure.label} {reference.value}", wanted=wanted
        )
    now = (metric.value, iou_threshold, len(labelled))
    if judged != now:
        raise InputError(
            f"{path} was judged otherwise, so the two mAP cannot be compared",
            got="metric {}, IoU {:g}, {} images".format(*judged),
            wanted="metric {}, IoU {:g}, {} images".format(*now),
        )
    if labels != labelled.digest:
        raise InputError(
            f"{path} was judged on other pictures or labels, so the two mAP cannot be compared",
            got=f"{fields.get('dataset')}, labels {labels[:19]}…",
            wanted=f"{labelled.origin}, labels {labelled.digest[:19]}…",
            do="Judge its model on these again: ssd-edge eval MODEL DATASET --json",
        )
    return reference
