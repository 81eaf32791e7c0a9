"""``ssd-edge eval``: the accuracy and speed of any model file, or of several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import bars, write_text
from ssd_edge.cli.eval_tables import show_evaluations
from ssd_edge.core.choices import GateFigure, Metric
from ssd_edge.core.errors import AccuracyError, InputError
from ssd_edge.workflows.evaluate_config import EvaluateConfig


def evaluate(
    models: Annotated[list[Path], typer.Argument(help="One or more .pt, .onnx or .engine files.", metavar="MODEL")],
    dataset: Annotated[Path, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET")],
    split: Annotated[
        str | None,
        typer.Option("--split", help="Split to evaluate on; by default test, or else what training set aside."),
    ] = EvaluateConfig.split,
    metric: Annotated[
        Metric, typer.Option("--metric", help="voc: area under the curve; voc07: the 11 points of VOC2007.")
    ] = EvaluateConfig.metric,
    iou: Annotated[
        float, typer.Option("--iou", min=0.01, max=1.0, help="Overlap that makes a detection right.")
    ] = EvaluateConfig.iou_threshold,
    coco: Annotated[
        bool, typer.Option("--coco", help="COCO's AP and AR too (needs faster-coco-eval).")
    ] = EvaluateConfig.coco,
    score: Annotated[
        float, typer.Option("--score", min=0.0, max=1.0, help="Threshold of the table of recall and precision.")
    ] = EvaluateConfig.score_threshold,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show how far each model is from the first: points of mAP, speed.")
    ] = False,
    min_map: Annotated[
        float | None,
        typer.Option("--min-map", min=0.0, max=1.0, help="Exit with 1 where a model is below this."),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option("--max-drop", min=0.0, help="Exit with 1 where a model is more points below the first."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="JSON", help="An earlier --json; --max-drop counts from its first model."),
    ] = None,
    gate_on: Annotated[
        GateFigure, typer.Option("--gate-on", help="The figure that the gates go by; COCO's are counted for it.")
    ] = EvaluateConfig.gate_on,
    cores: Annotated[int | None, typer.Option("--cores", min=1, help="Processor cores to use; by default all.")] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="HTML", help="Write a page with curves and pictures, and these as PNG."),
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the figures as JSON; - for stdout, no tables.")
    ] = None,
) -> None:
    """Judge model files on labelled images: the mean average precision and the time of each, by the same code."""
    from ssd_edge.workflows.evaluate import EvaluateResult
    from ssd_edge.workflows.evaluate import evaluate as evaluate_files

    if compare and len(models) < 2:
        raise InputError("--compare needs two models or more", got="one")
    config = EvaluateConfig(
        split=split,
        metric=metric,
        iou_threshold=iou,
        coco=coco,
        score_threshold=score,
        min_map=min_map,
        max_drop_points=max_drop,
        baseline=baseline,
        gate_on=gate_on,
        cores=cores,
        report=report,
    )

    def show(result: EvaluateResult) -> None:
        if json_path != "-":
            show_evaluations(result, compare=compare)
        if json_path is not None:
            write_text(json_path, result.to_json())

    try:
        with bars() as progress:
            result = evaluate_files(models, dataset, config=config, progress=progress)
    except AccuracyError as error:
        show(error.result)
        raise
    show(result)
