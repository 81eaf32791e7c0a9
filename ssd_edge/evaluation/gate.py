"""Refuses models that are worse than demanded, so that a pipeline can stop at them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssd_edge.core.choices import Metric
from ssd_edge.core.errors import AccuracyError, InputError
from ssd_edge.core.sample import LabelledSet
from ssd_edge.evaluation.summary import SUMMARY_FORMAT

if TYPE_CHECKING:
    from ssd_edge.core.choices import Metric
    from ssd_edge.core.sample import LabelledSet
    from ssd_edge.evaluation.coco_ap import CocoAp
    from ssd_edge.evaluation.mean_ap import MeanAp


class GateFigure(str, Enum):
    """A model's accuracy as one number, 0 to 1."""

    MAP = "map"
    MAP_50_95 = "map-50-95"
    COCO_AP = "coco-ap"
    COCO_AP_50 = "coco-ap50"

    @property
    def label(self) -> str:
        """What it is called."""
        return {"map": "mAP", "map-50-95": "mAP@.5:.95", "coco-ap": "COCO AP", "coco-ap50": "COCO AP50"}[self.value]

    @property
    def is_coco(self) -> bool:
        """Whether COCO's numbers must be counted for it."""
        return self in (GateFigure.COCO_AP, GateFigure.COCO_AP_50)

    def of(self, accuracy: MeanAp, coco: CocoAp | None) -> float:
        """Return it; ``coco`` is needed where :attr:`is_coco`."""
        model = {"map": accuracy.mean_ap, "map_50_95": accuracy.mean_ap_50_95}
        return self.saved({**model, "coco": coco and coco.numbers._asdict()})

    def saved(self, model: Mapping[str, Any]) -> float:
        """Return it from a model's entry in what ``eval --json`` wrote.

        Raises:
            KeyError, TypeError, ValueError: the entry does not hold it.
        """
        if self.is_coco:
            return float(model["coco"]["ap" if self is GateFigure.COCO_AP else "ap_50"])
        return float(model["map" if self is GateFigure.MAP else "map_50_95"])


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
        return None if self.baseline is None else read_baseline(self.baseline, labelled, metric, iou, self.figure)

    def judge(self, found: Mapping[str, float], reference: Reference | None) -> None:
        """Raise AccuracyError where one of these figures is not good enough."""
        if self.min_map is not None:
            refuse_below(self.min_map, found, self.figure)
        if self.max_drop is not None:
            refuse_drop(self.max_drop, reference or Reference(*next(iter(found.items()))), found, self.figure)
