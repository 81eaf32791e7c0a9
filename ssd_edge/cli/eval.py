"""``ssd-edge eval``: the accuracy and speed of any model file, or of several side by side."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bar, say, show_table
from ssd_edge.cli.models import evaluate_file
from ssd_edge.core.errors import AccuracyError
from ssd_edge.evaluation.metric import Metric

if TYPE_CHECKING:
    from ssd_edge.data.sample import LabelledSet
    from ssd_edge.evaluation.evaluate import Evaluation


def evaluate(
    models: Annotated[list[Path], typer.Argument(help="One or more .pt, .onnx or .engine files.", metavar="MODEL")],
    dataset: Annotated[Path, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET")],
    split: Annotated[str, typer.Option("--split", help="Part of the data set to judge on.")] = "test",
    metric: Annotated[
        Metric, typer.Option("--metric", help="voc: area under the curve; voc07: the 11 points of VOC2007.")
    ] = Metric.VOC,
    iou: Annotated[float, typer.Option("--iou", min=0.01, max=1.0, help="Overlap that makes a detection right.")] = 0.5,
    min_map: Annotated[
        float | None, typer.Option("--min-map", min=0.0, max=1.0, help="Exit with 1 where a model's mAP is below this.")
    ] = None,
    cores: Annotated[int | None, typer.Option("--cores", min=1, help="Processor cores to use; by default all.")] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the figures as JSON; - for stdout, no tables.")
    ] = None,
) -> None:
    """Judge model files on labelled images: the mean average precision and the time of each, by the same code."""
    from ssd_edge.data.find import open_dataset

    labelled = open_dataset(dataset, split)
    say(f"judging on {labelled.origin}: {len(labelled)} images, {labelled.object_count} objects")
    evaluations = {}
    for path in models:
        with bar(path.name) as progress:
            evaluations[path] = evaluate_file(
                path, labelled, metric=metric, iou_threshold=iou, cores=cores, progress=progress
            )
        if evaluations[path].not_judged:
            say(f"{path}: not judged, as no image has them: {', '.join(evaluations[path].not_judged)}")
    if json_path != "-":
        show_evaluations({str(path): evaluation for path, evaluation in evaluations.items()})
    if json_path is not None:
        _write_json(json_path, evaluations, labelled)
    if min_map is not None:
        refuse_below(min_map, evaluations)


def show_evaluations(evaluations: Mapping[str, Evaluation]) -> None:
    """Print one row a model, and one row a class with a column a model."""
    accuracies = [evaluation.accuracy for evaluation in evaluations.values()]
    first = accuracies[0]
    rows = [
        (
            name,
            f"{found.accuracy.mean_ap:.4f}",
            f"{found.accuracy.mean_ap_50_95:.4f}",
            f"{found.median_ms:.2f}",
            f"{found.p95_ms:.2f}",
            f"{found.fps:.0f}",
        )
        for name, found in evaluations.items()
    ]
    columns = ("model", f"mAP@{first.iou_threshold:g}", "mAP@.5:.95", "median ms", "p95 ms", "FPS")
    show_table(f"Accuracy ({first.metric.description}) and time of one picture", columns, rows)
    classes = [
        (entry.name, str(entry.objects), *(accuracy.classes[number].ap_text for accuracy in accuracies))
        for number, entry in enumerate(first.classes)
    ]
    show_table("AP of each class", ("class", "objects", *(Path(name).name for name in evaluations)), classes)


def refuse_below(min_map: float, evaluations: Mapping[Path, Evaluation]) -> None:
    """Raise AccuracyError where a model is worse than ``min_map``; all that are, are named."""
    poor = {path: found.accuracy.mean_ap for path, found in evaluations.items() if found.accuracy.mean_ap < min_map}
    if poor:
        raise AccuracyError(
            f"{', '.join(map(str, poor))} {'is' if len(poor) == 1 else 'are'} not accurate enough",
            got=", ".join(f"mAP {value:.4f}" for value in poor.values()),
            wanted=f"at least {min_map:g} (--min-map)",
        )


def _write_json(json_path: str, evaluations: Mapping[Path, Evaluation], labelled: LabelledSet) -> None:
    from ssd_edge.core.files import written_beside
    from ssd_edge.evaluation.summary import summary_json

    text = summary_json(evaluations, labelled)
    if json_path == "-":
        sys.stdout.write(text)
        return
    with written_beside(Path(json_path)) as partial:
        partial.write_text(text, encoding="utf-8")
