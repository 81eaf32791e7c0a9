"""JSON of ``ssd-edge eval --json``: evaluations as plain numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ssd_edge.core.sample import LabelledSet
from ssd_edge.evaluation.coco_ap import CocoAp
from ssd_edge.evaluation.evaluate import EvaluatedModel, Evaluation
from ssd_edge.evaluation.mean_ap import ClassAp
from ssd_edge.evaluation.tide_errors import ErrorCost

SUMMARY_FORMAT = "ssd-edge/eval/1"


def summary_json(models: Sequence[EvaluatedModel], labelled: LabelledSet, *, score: float = 0.5) -> str:
    """Return indented JSON of one or more evaluations on the same set; the AP of a class without objects is null.

    Args:
        models: at least one.
        labelled: the set.
        score: the threshold of precision and recall.
    """
    first = models[0].evaluation.accuracy
    fields = {
        "format": SUMMARY_FORMAT,
        "dataset": labelled.origin,
        "images": len(labelled),
        "labels": labelled.digest,
        "metric": first.metric.value,
        "iou_threshold": first.iou_threshold,
        "models": [
            _model(model.path, model.evaluation, score)
            | _errors(model.errors)
            | _coco(model.coco)
            | _calibrated(model.calibrated_images)
            for model in models
        ],
    }
    return json.dumps(fields, indent=1, ensure_ascii=False) + "\n"


def _model(path: Path, evaluation: Evaluation, score: float) -> dict[str, object]:
    accuracy = evaluation.accuracy
    return {
        "path": str(path),
        "map": accuracy.mean_ap,
        "map_50_95": accuracy.mean_ap_50_95,
        "classes": {
            entry.name: {
                "ap": entry.ap,
                "objects": entry.objects,
                "difficult": entry.difficult,
                "best_f1": _best_f1(entry),
            }
            for entry in accuracy.classes
        },
        "at_score": {"score": score, "classes": {entry.name: _rates(entry, score) for entry in accuracy.classes}},
        "classes_not_judged": list(evaluation.classes_not_evaluated),
        "detect_ms": {"median": evaluation.median_ms, "p95": evaluation.p95_ms},
        "fps": evaluation.fps,
    }


def _rates(entry: ClassAp, score: float) -> dict[str, float | None]:
    precision, recall = entry.at_score(score)
    return {"precision": precision, "recall": recall}


def _best_f1(entry: ClassAp) -> dict[str, float] | None:
    return None if entry.best_f1 is None else entry.best_f1._asdict()


def _errors(costs: Sequence[ErrorCost]) -> dict[str, object]:
    if not costs:
        return {}
    return {"errors": {cost.kind.value: {"lost_map": cost.lost_ap, "count": cost.count} for cost in costs}}


def _coco(found: CocoAp | None) -> dict[str, object]:
    return {} if found is None else {"coco": {**found.numbers._asdict(), "classes": found.classes}}


def _calibrated(count: int | None) -> dict[str, object]:
    return {} if count is None else {"pictures_calibrated_with": count}
