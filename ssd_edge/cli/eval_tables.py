"""The tables of ``ssd-edge eval``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssd_edge.cli.console import show_table

if TYPE_CHECKING:
    from ssd_edge.workflows.evaluate import EvaluateResult

_COCO_HEADINGS = ("AP", "AP50", "AP75", "AP S", "AP M", "AP L", "AR1", "AR10", "AR100", "AR S", "AR M", "AR L")


def show_evaluations(result: EvaluateResult, *, compare: bool = False) -> None:
    """Print one row per model and one row per class; ``compare`` adds each model's difference to the first."""
    _show_models(result, compare)
    _show_classes(result)
    _show_at_score(result)
    _show_best_f1(result)
    _show_errors(result)
    if result.models[0].coco is not None:
        _show_coco(result)


def _show_errors(result: EvaluateResult) -> None:
    """Print how much mAP each kind of error costs, and how often it occurs."""
    rows = []
    for costs in zip(*(model.errors for model in result.models), strict=True):
        cells = (f"{cost.points_text} / {cost.count}" for cost in costs)
        rows.append((costs[0].kind.value, *cells))
    show_table("Errors by kind: lost mAP in points / number of errors", ("kind", *_names(result)), rows)


def _show_coco(result: EvaluateResult) -> None:
    """Print COCO's twelve numbers of each model, and the AP of each class."""
    found = [model.coco for model in result.models if model.coco is not None]
    columns = [[_text(value) for value in entry.numbers] for entry in found]
    rows = list(zip(_COCO_HEADINGS, *columns, strict=True))  # a row a number: twelve columns fit no terminal
    show_table("COCO: AP at IoU .50:.95, at .50, at .75, by size; recall", ("", *_names(result)), rows)
    classes = [(label, *(_text(entry.classes[label]) for entry in found)) for label in found[0].classes]
    show_table("COCO AP of each class", ("class", *_names(result)), classes)


def _show_models(result: EvaluateResult, compare: bool) -> None:
    first = result.models[0].evaluation
    rows = []
    for model, distance in zip(result.models, result.points, strict=True):
        found, accuracy = model.evaluation, model.evaluation.accuracy
        row = [str(model.path), f"{accuracy.mean_ap:.4f}", f"{accuracy.mean_ap_50_95:.4f}"]
        row += [f"{found.median_ms:.2f}", f"{found.p95_ms:.2f}", f"{found.fps:.0f}"]
        if compare:
            row += [f"{distance:+.2f}", f"{first.median_ms / found.median_ms:.2f}x"]
        rows.append(row)
    columns = ["model", f"mAP@{first.accuracy.iou_threshold:g}", "mAP@.5:.95", "median ms", "p95 ms", "FPS"]
    columns += ["points", "speed"] if compare else []
    show_table(f"Accuracy ({first.accuracy.metric.description}) and time per image", columns, rows)


def _show_classes(result: EvaluateResult) -> None:
    accuracies = [model.evaluation.accuracy for model in result.models]
    rows = [
        (entry.name, str(entry.objects), *(accuracy.classes[number].ap_text for accuracy in accuracies))
        for number, entry in enumerate(accuracies[0].classes)
    ]
    show_table("AP of each class", ("class", "objects", *_names(result)), rows)


def _show_at_score(result: EvaluateResult) -> None:
    accuracies, score = [model.evaluation.accuracy for model in result.models], result.score_threshold
    rows = []
    for number, entry in enumerate(accuracies[0].classes):
        rates = [accuracy.classes[number].at_score(score) for accuracy in accuracies]
        rows.append((entry.name, *(f"{_text(recall)} / {_text(precision)}" for precision, recall in rates)))
    show_table(f"Recall / precision of detections with a score of {score:g} or more", ("class", *_names(result)), rows)


def _show_best_f1(result: EvaluateResult) -> None:
    accuracies = [model.evaluation.accuracy for model in result.models]
    rows = []
    for number, entry in enumerate(accuracies[0].classes):
        points = [accuracy.classes[number].best_f1 for accuracy in accuracies]
        cells = ("–" if point is None else f"{point.f1:.3f} at {point.score:.3f}" for point in points)
        rows.append((entry.name, *cells))
    show_table("Best F1, and the score threshold that gives it", ("class", *_names(result)), rows)


def _names(result: EvaluateResult) -> list[str]:
    return [model.path.name for model in result.models]


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
