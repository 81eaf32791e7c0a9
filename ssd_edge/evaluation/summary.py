"""What ``ssd-edge eval --json`` writes: evaluations as plain numbers, for scripts and pipelines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssd_edge.core.sample import LabelledSet
from ssd_edge.evaluation.coco_ap import CocoAp
from ssd_edge.evaluation.evaluate import Evaluation
from ssd_edge.evaluation.mean_ap import ClassAp
from ssd_edge.evaluation.tide_errors import ErrorCost

SUMMARY_FORMAT = "ssd-edge/eval/1"


def summary_json(
    evaluations: Mapping[Path, Evaluation],
    labelled: LabelledSet,
    errors: Mapping[Path, Sequence[ErrorCost]] | None = None,
    coco: Mapping[Path, CocoAp] | None = None,
    seen: Mapping[Path, int] | None = None,
    *,
    score: float = 0.5,
) -> str:
    """Return indented JSON of one or more evaluations on the same set; the AP of a class without objects is null.

    Args:
        evaluations: by the model's file.
        labelled: the set.
        errors: what each kind of error costs each model, where it was asked for.
        coco: COCO's numbers of the same models, where they were asked for.
        seen: how many of the pictures an engine was calibrated with, where it says so.
        score: the threshold of precision and recall.
    """
    first = next(iter(evaluations.values())).accuracy
    fields = {
        "format": SUMMARY_FORMAT,
        "dataset": labelled.origin,
        "images": len(labelled),
        "labels": labelled.digest,
        "metric": first.metric.value,
        "iou_threshold": first.iou_threshold,
        "models": [
            _model(path, evaluation, score)
            | _errors((errors or {}).get(path))
            | _coco((coco or {}).get(path))
            | _seen((seen or {}).get(path))
            for path, evaluation in evaluations.items()
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
        "classes_not_judged": list(evaluation.not_judged),
        "detect_ms": {"median": evaluation.median_ms, "p95": evaluation.p95_ms},
        "fps": evaluation.fps,
    }


def _rates(entry: ClassAp, score: float) -> dict[str, float | None]:
    precision, recall = entry.at_score(score)
    return {"precision": precision, "recall": recall}


def _best_f1(entry: ClassAp) -> dict[str, float] | None:
    return None if entry.best_f1 is None else entry.best_f1._asdict()


def _errors(costs: Sequence[ErrorCost] | None) -> dict[str, object]:
    if costs is None:
        return {}
    return {"errors": {cost.kind.value: {"lost_map": cost.lost_ap, "count": cost.count} for cost in costs}}


def _coco(found: CocoAp | None) -> dict[str, object]:
    return {} if found is None else {"coco": {**found.numbers._asdict(), "classes": found.classes}}


def _seen(count: int | None) -> dict[str, object]:
    return {} if count is None else {"pictures_calibrated_with": count}
