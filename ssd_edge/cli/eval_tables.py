"""The tables of ``ssd-edge eval``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_edge.cli.console import show_table

if TYPE_CHECKING:
    from ssd_edge.evaluation.coco_ap import CocoAp
    from ssd_edge.evaluation.evaluate import Evaluation
    from ssd_edge.evaluation.tide_errors import ErrorCost

_COCO_HEADINGS = ("AP", "AP50", "AP75", "AP S", "AP M", "AP L", "AR1", "AR10", "AR100", "AR S", "AR M", "AR L")


def show_evaluations(evaluations: Mapping[str, Evaluation], score: float, *, compare: bool = False) -> None:
    """Print one row a model, and one row a class; ``compare`` adds each model's distance from the first."""
    _show_models(evaluations, compare)
    _show_classes(evaluations)
    _show_at_score(evaluations, score)
    _show_best_f1(evaluations)


def show_errors(found: Mapping[str, Sequence[ErrorCost]]) -> None:
    """Print what each kind of error costs each model, and how often it occurs."""
    rows = []
    for costs in zip(*found.values(), strict=True):
        cells = (f"{cost.points_text} / {cost.count}" for cost in costs)
        rows.append((costs[0].kind.value, *cells))
    show_table("Errors by kind: points of mAP that they cost / their number", ("kind", *_short(found)), rows)


def show_coco(found: Mapping[str, CocoAp]) -> None:
    """Print COCO's twelve numbers of each model, and the AP of each class."""
    columns = [[_text(value) for value in entry.numbers] for entry in found.values()]
    rows = list(zip(_COCO_HEADINGS, *columns, strict=True))  # a row a number: twelve columns fit no terminal
    show_table("COCO: AP at IoU .50:.95, at .50, at .75, by size; recall", ("", *_short(found)), rows)
    first = next(iter(found.values()))
    classes = [(label, *(_text(entry.classes[label]) for entry in found.values())) for label in first.classes]
    show_table("COCO AP of each class", ("class", *_short(found)), classes)


def _show_models(evaluations: Mapping[str, Evaluation], compare: bool) -> None:
    from ssd_edge.evaluation.gate import points

    first = next(iter(evaluations.values()))
    rows = []
    for name, found in evaluations.items():
        accuracy = found.accuracy
        row = [name, f"{accuracy.mean_ap:.4f}", f"{accuracy.mean_ap_50_95:.4f}"]
        row += [f"{found.median_ms:.2f}", f"{found.p95_ms:.2f}", f"{found.fps:.0f}"]
        if compare:
            drop = points(accuracy.mean_ap, first.accuracy.mean_ap)
            row += [f"{drop:+.2f}", f"{first.median_ms / found.median_ms:.2f}x"]
        rows.append(row)
    columns = ["model", f"mAP@{first.accuracy.iou_threshold:g}", "mAP@.5:.95", "median ms", "p95 ms", "FPS"]
    columns += ["points", "speed"] if compare else []
    show_table(f"Accuracy ({first.accuracy.metric.description}) and time of one picture", columns, rows)


def _show_classes(evaluations: Mapping[str, Evaluation]) -> None:
    accuracies = [found.accuracy for found in evaluations.values()]
    rows = [
        (entry.name, str(entry.objects), *(accuracy.classes[number].ap_text for accuracy in accuracies))
        for number, entry in enumerate(accuracies[0].classes)
    ]
    show_table("AP of each class", ("class", "objects", *_short(evaluations)), rows)


def _show_at_score(evaluations: Mapping[str, Evaluation], score: float) -> None:
    accuracies = [found.accuracy for found in evaluations.values()]
    rows = []
    for number, entry in enumerate(accuracies[0].classes):
        rates = [accuracy.classes[number].at_score(score) for accuracy in accuracies]
        rows.append((entry.name, *(f"{_text(recall)} / {_text(precision)}" for precision, recall in rates)))
    show_table(
        f"Recall / precision of detections with a score of {score:g} or more", ("class", *_short(evaluations)), rows
    )


def _show_best_f1(evaluations: Mapping[str, Evaluation]) -> None:
    accuracies = [found.accuracy for found in evaluations.values()]
    rows = []
    for number, entry in enumerate(accuracies[0].classes):
        points = [accuracy.classes[number].best_f1 for accuracy in accuracies]
        cells = ("–" if point is None else f"{point.f1:.3f} at {point.score:.3f}" for point in points)
        rows.append((entry.name, *cells))
    show_table("Best F1, and the score threshold that gives it", ("class", *_short(evaluations)), rows)


def _short(named: Mapping[str, object]) -> list[str]:
    return [Path(name).name for name in named]


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
