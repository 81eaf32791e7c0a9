"""What ``ssd-edge eval --json`` writes: evaluations as plain numbers, for scripts and pipelines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ssd_edge.data.sample import LabelledSet
from ssd_edge.evaluation.evaluate import Evaluation

SUMMARY_FORMAT = "ssd-edge/eval/1"


def summary_json(evaluations: Mapping[Path, Evaluation], labelled: LabelledSet) -> str:
    """Return indented JSON of one or more evaluations on the same set; the AP of a class without objects is null."""
    first = next(iter(evaluations.values())).accuracy
    fields = {
        "format": SUMMARY_FORMAT,
        "dataset": labelled.origin,
        "images": len(labelled),
        "metric": first.metric.value,
        "iou_threshold": first.iou_threshold,
        "models": [_model(path, evaluation) for path, evaluation in evaluations.items()],
    }
    return json.dumps(fields, indent=1, ensure_ascii=False) + "\n"


def _model(path: Path, evaluation: Evaluation) -> dict[str, object]:
    accuracy = evaluation.accuracy
    return {
        "path": str(path),
        "map": accuracy.mean_ap,
        "map_50_95": accuracy.mean_ap_50_95,
        "classes": {
            entry.name: {"ap": entry.ap, "objects": entry.objects, "difficult": entry.difficult}
            for entry in accuracy.classes
        },
        "classes_not_judged": list(evaluation.not_judged),
        "detect_ms": {"median": evaluation.median_ms, "p95": evaluation.p95_ms},
        "fps": evaluation.fps,
    }
