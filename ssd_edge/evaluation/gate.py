"""The accuracy gate: refuses models that are worse than demanded, so that a pipeline can stop at them.

Messages name what was asked for as keywords (``min_map=``); the command line shows them as its options.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd_edge.core.choices import GateFigure, Metric
from ssd_edge.core.errors import AccuracyError, InputError, keyword
from ssd_edge.core.files import read_text
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.text_parsers import parse_json
from ssd_edge.evaluation.evaluate import EvaluatedModel
from ssd_edge.evaluation.summary import SUMMARY_FORMAT


def gate_figure(figure: GateFigure, model: EvaluatedModel) -> float:
    """Return a model's figure; COCO's numbers must have been counted where it is one of COCO's."""
    accuracy = model.evaluation.accuracy
    fields = {"map": accuracy.mean_ap, "map_50_95": accuracy.mean_ap_50_95}
    return saved_figure(figure, {**fields, "coco": model.coco and model.coco.numbers._asdict()})


def saved_figure(figure: GateFigure, model: Mapping[str, Any]) -> float:
    """Return the figure from a model's entry in what ``eval --json`` wrote.

    Raises:
        KeyError, TypeError, ValueError: the entry does not hold it.
    """
    if figure.is_coco:
        return float(model["coco"]["ap" if figure is GateFigure.COCO_AP else "ap_50"])
    return float(model["map" if figure is GateFigure.MAP else "map_50_95"])


_ROUNDING = 1e-9  # points: a drop of just what is allowed is allowed, whatever float arithmetic makes of it


@dataclass(frozen=True)
class Reference:
    """Reference of the gates: a model's name and its figure, 0 to 1."""

    name: str
    value: float


def points(mean_ap: float, reference: float) -> float:
    """Return the difference in points, hundredths of mAP; negative where ``mean_ap`` is the worse."""
    return 100 * (mean_ap - reference)


def check_minimum(min_map: float, found: Mapping[str, float], figure: GateFigure = GateFigure.MAP) -> None:
    """Raise AccuracyError where a model's figure is under ``min_map``; all that are, are named."""
    poor = {name: value for name, value in found.items() if value < min_map}
    if poor:
        raise AccuracyError(
            f"{', '.join(poor)} {'is' if len(poor) == 1 else 'are'} not accurate enough",
            got=", ".join(f"{figure.label} {value:.4f}" for value in poor.values()),
            wanted=f"at least {min_map:g} ({keyword('min_map')})",
        )


def check_drop(
    max_drop_points: float, reference: Reference, found: Mapping[str, float], figure: GateFigure = GateFigure.MAP
) -> None:
    """Raise AccuracyError where a model lies more than these points under the reference; all are named."""
    drops = {name: -points(value, reference.value) for name, value in found.items()}
    poor = {name: drop for name, drop in drops.items() if drop > max_drop_points + _ROUNDING}
    if poor:
        verb = "loses" if len(poor) == 1 else "lose"
        raise AccuracyError(
            f"{', '.join(poor)} {verb} too much compared with {reference.name} ({figure.label} {reference.value:.4f})",
            got=", ".join(f"a loss of {drop:.2f} points" for drop in poor.values()),
            wanted=f"at most {max_drop_points:g} ({keyword('max_drop_points')})",
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
        InputError: the file cannot be read, is no such file, or was evaluated in another way or on another set.
    """
    wanted = f"a file of ssd-edge eval --json ({SUMMARY_FORMAT})"
    try:
        fields = parse_json(read_text(path))
        form = fields["format"]
        evaluated = (fields["metric"], float(fields["iou_threshold"]), int(fields["images"]))
        labels = str(fields["labels"])
        first = fields["models"][0]
        if figure.is_coco and "coco" not in first:
            raise InputError(
                f"{path} contains no {figure.label}",
                do="Evaluate the baseline model again: ssd-edge eval MODEL DATASET --coco --json",
            )
        reference = Reference(f"{first['path']} of {path}", saved_figure(figure, first))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})", wanted=wanted) from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path} is not a baseline", got=f"missing or invalid content ({error})", wanted=wanted
        ) from error
    if form != SUMMARY_FORMAT or not math.isfinite(reference.value):
        raise InputError(
            f"{path} is not a baseline", got=f"format {form!r}, {figure.label} {reference.value}", wanted=wanted
        )
    now = (metric.value, iou_threshold, len(labelled))
    if evaluated != now:
        raise InputError(
            f"{path} was evaluated with other settings, so the mAP cannot be compared",
            got="metric {}, IoU {:g}, {} images".format(*evaluated),
            wanted="metric {}, IoU {:g}, {} images".format(*now),
        )
    if labels != labelled.digest:
        raise InputError(
            f"{path} was evaluated on other images or labels, so the mAP cannot be compared",
            got=f"{fields.get('dataset')}, labels {labels[:19]}…",
            wanted=f"{labelled.origin}, labels {labelled.digest[:19]}…",
            do="Evaluate the baseline model on these images: ssd-edge eval MODEL DATASET --json",
        )
    return reference


@dataclass(frozen=True)
class Gate:
    """Accuracy gates of an evaluation.

    Attributes:
        figure: what models are compared by.
        min_map: the least.
        max_drop_points: the most points that a model may lie below the reference.
        baseline: an earlier ``--json``, whose first model is the reference; None for the first of these models.
    """

    figure: GateFigure = GateFigure.MAP
    min_map: float | None = None
    max_drop_points: float | None = None
    baseline: Path | None = None

    def check_complete(self, models: int) -> None:
        """Raise InputError for demands that would say nothing of so many models, before any work is done."""
        if self.baseline is not None and self.max_drop_points is None:
            raise InputError(
                f"{keyword('baseline')} needs {keyword('max_drop_points')}",
                do=f"Set the allowed loss in points: {keyword('max_drop_points', 0.5)}.",
            )
        if self.max_drop_points is not None and models < 2 and self.baseline is None:
            raise InputError(
                f"{keyword('max_drop_points')} needs a reference",
                wanted=f"at least two models, or {keyword('baseline')}",
            )
        if self.figure is not GateFigure.MAP and self.min_map is None and self.max_drop_points is None:
            raise InputError(
                f"{keyword('gate_on')} needs a gate",
                got=self.figure.value,
                wanted=f"also {keyword('min_map')} or {keyword('max_drop_points')}",
            )

    def reference(self, labelled: LabelledSet, metric: Metric, iou: float) -> Reference | None:
        """Return what the baseline says; None without one.

        Raises:
            InputError: it cannot be compared with.
        """
        return None if self.baseline is None else read_baseline(self.baseline, labelled, metric, iou, self.figure)

    def check(self, models: Sequence[EvaluatedModel], reference: Reference | None) -> None:
        """Raise AccuracyError where one of the models is not good enough."""
        found = {str(model.path): gate_figure(self.figure, model) for model in models}
        if self.min_map is not None:
            check_minimum(self.min_map, found, self.figure)
        if self.max_drop_points is not None:
            check_drop(self.max_drop_points, reference or Reference(*next(iter(found.items()))), found, self.figure)
