"""``ssd-edge eval``: measure the accuracy and speed of one or more model files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ssd_edge.cli.console import bars, exit_incomplete, write_json
from ssd_edge.cli.eval_tables import show_evaluations
from ssd_edge.core.choices import GateFigure, Metric
from ssd_edge.core.errors import AccuracyError, InputError
from ssd_edge.workflows.evaluate_config import EvaluateConfig

_metrics, _gates, _outputs = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("Metrics", "Accuracy gates", "Output")
)


def evaluate(
    models: Annotated[list[Path], typer.Argument(help="One or more .pt, .onnx or .engine files.", metavar="MODEL")],
    dataset: Annotated[Path, typer.Argument(help="Labelled images (VOC, COCO, YOLO or CSV).", metavar="DATASET")],
    split: Annotated[
        str | None,
        typer.Option("--split", help="Split to evaluate on (default: test, else the split that training set aside)."),
    ] = EvaluateConfig.split,
    metric: Annotated[
        Metric,
        _metrics(
            "--metric",
            help="How AP is computed. voc: area under the precision-recall curve; voc07: 11 points, as in VOC2007.",
        ),
    ] = EvaluateConfig.metric,
    iou_threshold: Annotated[
        float,
        _metrics(
            "--iou-threshold",
            min=0.01,
            max=1.0,
            help="Smallest IoU with an object at which a detection counts as correct.",
        ),
    ] = EvaluateConfig.iou_threshold,
    coco: Annotated[
        bool, _metrics("--coco", help="Also compute COCO AP and AR (needs faster-coco-eval).")
    ] = EvaluateConfig.coco,
    score_threshold: Annotated[
        float,
        _metrics("--score-threshold", min=0.0, max=1.0, help="Score threshold for the table of recall and precision."),
    ] = EvaluateConfig.score_threshold,
    compare: Annotated[
        bool, _outputs("--compare", help="Show how each model differs from the first: mAP in points (0.01 mAP), speed.")
    ] = False,
    min_map: Annotated[
        float | None,
        _gates(
            "--min-map",
            metavar="MAP",
            min=0.0,
            max=1.0,
            help="Exit with code 1 if a model's mAP is below this, 0 to 1; --gate-on chooses another accuracy measure.",
        ),
    ] = None,
    max_drop: Annotated[
        float | None,
        _gates(
            "--max-drop",
            metavar="POINTS",
            min=0.0,
            help="Exit with code 1 if a model is more than this many points (0.01 mAP) below the first model.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        _gates(
            "--baseline",
            metavar="JSON",
            help="File of an earlier eval --json; --max-drop then compares with the first model in it.",
        ),
    ] = None,
    gate_on: Annotated[
        GateFigure,
        _gates("--gate-on", help="Accuracy measure that --min-map and --max-drop check; coco-* implies --coco."),
    ] = EvaluateConfig.gate_on,
    max_bad: Annotated[
        float,
        typer.Option(
            "--max-bad", min=0.0, max=1.0, help="Largest share of images or objects that may be left out, 0 to 1."
        ),
    ] = EvaluateConfig.max_bad,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Stop at the first error in the data (default: faulty images and objects are left out)."
        ),
    ] = EvaluateConfig.strict,
    cores: Annotated[int | None, typer.Option("--cores", min=1, help="CPU cores to use (default: all).")] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="Device for OpenVINO engines (cpu, gpu, npu, auto) and checkpoints (cpu, cuda, mps, auto) "
            "(default: cpu).",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        _outputs(
            "--html",
            metavar="PATH",
            help="Write an HTML report with curves and images; the images are also saved as PNG files.",
        ),
    ] = None,
    json_path: Annotated[
        str | None,
        _outputs("--json", metavar="PATH|-", help="Write the figures as JSON; - for stdout, without tables."),
    ] = None,
) -> None:
    """Evaluate model files on labelled images: mean average precision and time per image."""
    from ssd_edge.workflows.evaluate import EvaluateResult
    from ssd_edge.workflows.evaluate import evaluate as evaluate_files

    if compare and len(models) < 2:
        raise InputError("--compare needs at least two models", got="one")
    config = EvaluateConfig(
        split=split,
        metric=metric,
        iou_threshold=iou_threshold,
        coco=coco,
        score_threshold=score_threshold,
        min_map=min_map,
        max_drop_points=max_drop,
        baseline=baseline,
        gate_on=gate_on,
        max_bad=max_bad,
        strict=strict,
        cores=cores,
        device=device,
        html=html,
    )

    def show(result: EvaluateResult) -> None:
        if json_path != "-":
            show_evaluations(result, compare=compare)
        if json_path is not None:
            write_json(json_path, result.to_json())

    try:
        with bars() as progress:
            result = evaluate_files(models, dataset, config=config, progress=progress)
    except AccuracyError as error:
        show(error.result)
        raise
    show(result)
    exit_incomplete(result.left_out)
