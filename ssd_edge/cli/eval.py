"""``ssd-edge eval``: the accuracy and speed of any model file, or of several side by side."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssd_edge.cli.console import bar, say
from ssd_edge.cli.eval_tables import show_coco, show_errors, show_evaluations
from ssd_edge.core.choices import Metric
from ssd_edge.core.errors import InputError
from ssd_edge.evaluation.gate import Gate, GateFigure
from ssd_edge.workflows.open_model import evaluate_file, refuse_no_model

if TYPE_CHECKING:
    from ssd_edge.core.sample import LabelledSet
    from ssd_edge.evaluation.coco_ap import CocoAp
    from ssd_edge.evaluation.evaluate import Evaluation
    from ssd_edge.evaluation.tide_errors import ErrorCost


def evaluate(
    models: Annotated[list[Path], typer.Argument(help="One or more .pt, .onnx or .engine files.", metavar="MODEL")],
    dataset: Annotated[Path, typer.Argument(help="Labelled images: VOC, COCO or YOLO.", metavar="DATASET")],
    split: Annotated[str, typer.Option("--split", help="Part of the data set to judge on.")] = "test",
    metric: Annotated[
        Metric, typer.Option("--metric", help="voc: area under the curve; voc07: the 11 points of VOC2007.")
    ] = Metric.VOC,
    iou: Annotated[float, typer.Option("--iou", min=0.01, max=1.0, help="Overlap that makes a detection right.")] = 0.5,
    coco: Annotated[bool, typer.Option("--coco", help="COCO's AP and AR too (needs faster-coco-eval).")] = False,
    score: Annotated[
        float, typer.Option("--score", min=0.0, max=1.0, help="Threshold of the table of recall and precision.")
    ] = 0.5,
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
    ] = GateFigure.MAP,
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
    from ssd_edge.data.find import open_dataset
    from ssd_edge.evaluation.summary import summary_json

    gate = Gate(gate_on, min_map, max_drop, baseline)
    gate.refuse_half_a_wish(len(models))
    if compare and len(models) < 2:
        raise InputError("--compare needs two models or more", got="one")
    _refuse_models(models)
    coco = coco or gate_on.is_coco
    if coco:
        from ssd_edge.evaluation.coco_ap import require_coco

        require_coco()
    labelled = open_dataset(dataset, split)
    reference = gate.reference(labelled, metric, iou)
    say(f"judging on {labelled.origin}: {len(labelled)} images, {labelled.object_count} objects")
    seen = _seen(models, labelled)
    evaluations = {path: _judged(path, labelled, metric, iou, cores) for path in models}
    numbers = _coco_numbers(evaluations, labelled) if coco else {}
    errors = _errors(evaluations, labelled)
    if json_path != "-":
        _show(evaluations, errors, numbers, score, compare)
    if json_path is not None:
        _write_json(json_path, summary_json(evaluations, labelled, errors, numbers, seen, score=score))
    if report is not None:
        _write_report(report, evaluations, errors, labelled, score)
    figures = {str(path): gate_on.of(found.accuracy, numbers.get(path)) for path, found in evaluations.items()}
    gate.judge(figures, reference)


def _refuse_models(models: Sequence[Path]) -> None:
    """Raise InputError for files that are no models before the first of them is judged, which may take hours."""
    for number, path in enumerate(models):
        refuse_no_model(path)
        if path in models[:number]:
            raise InputError(f"{path} is given twice", wanted="each model once")


def _seen(models: Sequence[Path], labelled: LabelledSet) -> dict[Path, int]:
    """Say of each engine on how many of the pictures it was calibrated, and return these numbers where known."""
    from ssd_edge.evaluation.calibration_overlap import count_seen

    found = count_seen(models, labelled)
    for path, count in found.items():
        if count:
            say(f"{path}: {count} of these {len(labelled)} pictures were calibrated with: the figure is flattered")
    return found


def _judged(path: Path, labelled: LabelledSet, metric: Metric, iou: float, cores: int | None) -> Evaluation:
    with bar(path.name) as progress:
        found = evaluate_file(path, labelled, metric=metric, iou_threshold=iou, cores=cores, progress=progress)
    if found.not_judged:
        say(f"{path}: not judged, as no image has them: {', '.join(found.not_judged)}")
    return found


def _coco_numbers(evaluations: Mapping[Path, Evaluation], labelled: LabelledSet) -> dict[Path, CocoAp]:
    from ssd_edge.evaluation.coco_ap import coco_average_precision

    return {
        path: coco_average_precision(found.detections, labelled.samples, labelled.class_names)
        for path, found in evaluations.items()
    }


def _errors(evaluations: Mapping[Path, Evaluation], labelled: LabelledSet) -> dict[Path, tuple[ErrorCost, ...]]:
    from ssd_edge.evaluation.tide_errors import error_costs

    return {
        path: error_costs(found.detections, labelled.samples, found.accuracy) for path, found in evaluations.items()
    }


def _show(
    evaluations: Mapping[Path, Evaluation],
    errors: Mapping[Path, Sequence[ErrorCost]],
    numbers: Mapping[Path, CocoAp],
    score: float,
    compare: bool,
) -> None:
    show_evaluations({str(path): found for path, found in evaluations.items()}, score, compare=compare)
    show_errors({str(path): found for path, found in errors.items()})
    if numbers:
        show_coco({str(path): found for path, found in numbers.items()})


def _write_report(
    page: Path,
    evaluations: Mapping[Path, Evaluation],
    errors: Mapping[Path, tuple[ErrorCost, ...]],
    labelled: LabelledSet,
    score: float,
) -> None:
    from ssd_edge.evaluation.report import stills_folder, write_evaluation_report

    write_evaluation_report(page, evaluations, labelled, errors=errors, score=score)
    say(f"wrote {page}, pictures in {stills_folder(page)}")


def _write_json(json_path: str, text: str) -> None:
    from ssd_edge.core.files import written_beside

    if json_path == "-":
        sys.stdout.write(text)
        return
    with written_beside(Path(json_path)) as partial:
        partial.write_text(text, encoding="utf-8")
