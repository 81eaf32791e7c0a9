"""The sections of the report, from top to bottom."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssd_edge.evaluation.evaluate import EvaluatedModel
from ssd_edge.evaluation.example_images import COLOR_KEY
from ssd_edge.evaluation.mean_ap import ClassAp, MeanAp
from ssd_edge.evaluation.report_content import Report, StepTime, VideoSummary
from ssd_edge.reporting.chart import Panel, Series, chart_svg
from ssd_edge.reporting.images import CaptionedImage, image_grid
from ssd_edge.reporting.page import card, figure, grid, link, section, series_key, table, video


def cards(report: Report) -> list[str]:
    """Return the big figures at the top."""
    deployed = report.models[-1]
    accuracy = deployed.evaluation.accuracy
    images = len(deployed.evaluation.detections)
    found = [
        card(f"{accuracy.mean_ap:.3f}", f"mAP@{accuracy.iou_threshold:g} of the {deployed.label}, {images} images"),
        card(f"{deployed.evaluation.median_ms:.1f} ms", f"an image, median, {deployed.label}"),
    ]
    if report.video:
        found.append(card(f"{report.video.fps:.0f} FPS", f"end to end on the video, {report.video.frames} frames"))
    found.append(card(megabytes(deployed.path), f"on disk, {deployed.path.name}"))
    return found


def sections(report: Report, page: Path) -> list[str]:
    """Return the parts below the cards, in order; those without content are left out."""
    parts = [_video(report.video, page)] if report.video else []
    parts += [_artifacts(report.models), class_section(_accuracies(report)), curve_section(report.models)]
    parts.append(threshold_section(report.models[-1].label, report.models[-1].evaluation.accuracy))
    if all(entry.errors for entry in report.models):
        parts.append(error_section(report.models))
    if report.stills:
        text = "From the images with most errors to those with none, in equal steps; not selected by hand."
        parts.append(still_section(text, report.stills))
    if report.video and report.video.stages:
        parts.append(_latency(report.video))
    if report.steps:
        parts.append(_steps(report.steps))
    return parts


def _video(run: VideoSummary, page: Path) -> str:
    evaluated = (
        f"mAP@{run.accuracy.iou_threshold:g} {run.accuracy.mean_ap:.3f} against its labels, " if run.accuracy else ""
    )
    text = (
        f"{run.frames} frames at {run.fps:.0f} FPS from end to end (read, detected, drawn and encoded), {evaluated}"
        f"detections over score {run.score_threshold:g}."
    )
    player = figure(video(run.preview, page, run.poster), run.preview.name)
    note = f'<p class="note">In full: {link(run.annotated, page)}. Every box: {link(run.lines, page)}.</p>'
    return section("The video", text, player + note)


def _artifacts(models: Sequence[EvaluatedModel]) -> str:
    first = models[0].evaluation.accuracy
    columns = ["artifact", f"mAP@{first.iou_threshold:g}", "mAP@.5:.95", "median ms", "p95 ms", "FPS", "size"]
    rows = [_artifact_row(entry) for entry in models]
    if len(models) > 1:
        columns.insert(2, f"against {models[0].label}")
        for row, entry in zip(rows, models, strict=True):
            row.insert(2, f"{entry.evaluation.accuracy.mean_ap - first.mean_ap:+.4f}")
    text = (
        f"The same images, the same evaluate ({first.metric.description}), one image at a time: from the decoded "
        "image to boxes in its pixels."
    )
    return section("One model in every form", text, table(columns, rows))


def _artifact_row(entry: EvaluatedModel) -> list[str]:
    evaluation = entry.evaluation
    times = (f"{evaluation.median_ms:.2f}", f"{evaluation.p95_ms:.2f}", f"{evaluation.fps:.0f}")
    accuracy = evaluation.accuracy
    return [entry.label, f"{accuracy.mean_ap:.4f}", f"{accuracy.mean_ap_50_95:.4f}", *times, megabytes(entry.path)]


def class_section(accuracies: Sequence[tuple[str, MeanAp]]) -> str:
    """Return the table of each class's AP, a column for each accuracy under its label."""
    rows = []
    for number, entry in enumerate(accuracies[0][1].classes):
        rows.append((entry.name, str(entry.objects), *(a.classes[number].ap_text for _, a in accuracies)))
    rows.append(("mean", "", *(f"{accuracy.mean_ap:.3f}" for _, accuracy in accuracies)))
    columns = ("class", "objects", *(label for label, _ in accuracies))
    return section("AP of each class", "A dash: no object of the class in these images.", table(columns, rows))


def threshold_section(label: str, accuracy: MeanAp) -> str:
    """Return the table of each class's best F1 and of what the score threshold that gives it lets through."""
    rows = []
    for entry in accuracy.classes:
        point = entry.best_f1
        cells = ("–",) * 4 if point is None else tuple(f"{value:.3f}" for value in point)
        rows.append((entry.name, *cells))
    text = f"The score threshold at which F1, the harmonic mean of precision and recall, is highest: {label}."
    columns = ("class", "score threshold", "precision", "recall", "F1")
    return section("A score threshold for each class", text, table(columns, rows))


def _accuracies(report: Report) -> list[tuple[str, MeanAp]]:
    accuracies = [(entry.label, entry.evaluation.accuracy) for entry in report.models]
    if report.video and report.video.accuracy:
        accuracies.append(("film", report.video.accuracy))
    return accuracies


def curve_section(models: Sequence[EvaluatedModel]) -> str:
    """Return the precision-recall chart of each class, with a line for each artifact."""
    charts = []
    for number, known in enumerate(models[0].evaluation.accuracy.classes):
        curves = [(entry.label, entry.evaluation.accuracy.classes[number]) for entry in models]
        charts.append(figure(chart_svg(precision_recall_panel(curves)), known.name, f"AP {curves[-1][1].ap_text}"))
    text = "Precision (up) over recall (right) as the score threshold falls; equal lines overlap."
    key = series_key([entry.label for entry in models])
    return section("Precision and recall", text, key + grid(charts, "squares"))


def precision_recall_panel(curves: Sequence[tuple[str, ClassAp]]) -> Panel:
    """Return one class's chart, with a line for each artifact under its label.

    The curve itself is drawn, not its envelope; each run of equal recall is reduced to its first and last point.
    """
    last = curves[-1][1]
    title = f"precision over recall of {last.name}"
    return Panel(title, "recall", tuple(_curve(*curve) for curve in curves), is_unit_square=True)


def _curve(label: str, curve: ClassAp) -> Series:
    if len(curve.recall) == 0:
        return Series(label, (), ())
    starts = np.flatnonzero(np.diff(curve.recall, prepend=-1.0))
    ends = np.append(starts[1:], len(curve.recall)) - 1
    rows = np.unique(np.stack([starts, ends], axis=1))
    return Series(label, tuple(curve.recall[rows].tolist()), tuple(curve.precision[rows].tolist()))


def class_panels(label: str, accuracy: MeanAp) -> list[Panel]:
    """Return each class's chart with its AP, for a file."""
    return [
        dataclasses.replace(
            precision_recall_panel([(label, entry)]),
            title=entry.name,
            remark=f"AP {entry.ap_text}, {entry.objects} objects",
        )
        for entry in accuracy.classes
    ]


def panel_section(title: str, text: str, panels: Sequence[Panel]) -> str:
    """Return charts side by side, each with the key of its lines where it has several."""
    charts = []
    for panel in panels:
        key = series_key([series.label for series in panel.series]) if len(panel.series) > 1 else ""
        charts.append(figure(chart_svg(panel), panel.title, panel.remark, key=key))
    return section(title, text, grid(charts, "charts"))


def error_section(models: Sequence[EvaluatedModel]) -> str:
    """Return what each kind of error costs each artifact."""
    rows, meanings = [], []
    for costs in zip(*(entry.errors for entry in models), strict=True):
        rows.append([costs[0].kind.value, *(cell for cost in costs for cell in (cost.points_text, str(cost.count)))])
        meanings.append(costs[0].kind.meaning)
    several = len(models) > 1
    names = [f", {entry.label}" if several else "" for entry in models]
    columns = [column for name in names for column in (f"points{name}", f"number{name}")]
    text = (
        "Points, hundredths of mAP, that fixing one kind of error alone would add (TIDE). The number counts "
        "detections of any score, however low, so that many may cost little."
    )
    return section("Errors by kind", text, table(("kind", *columns), rows, notes=meanings))


def still_section(text: str, stills: Sequence[CaptionedImage]) -> str:
    """Return the marked images with the key of their colors; ``text`` says how they were chosen."""
    return section("Detections and objects", text, image_grid(stills, COLOR_KEY))


def _latency(run: VideoSummary) -> str:
    rows = [(s.stage.replace("_", " "), f"{s.p50_ms:.2f}", f"{s.p95_ms:.2f}", f"{s.p99_ms:.2f}") for s in run.stages]
    text = "Milliseconds a frame on the run. Stages run at the same time, so the slowest one sets the pace."
    return section("Latency of each stage", text, table(("stage", "p50", "p95", "p99"), rows))


def _steps(steps: Sequence[StepTime]) -> str:
    rows = [(step.name, f"{step.seconds:.1f} s") for step in steps]
    return section("How this was made", "", table(("step", "time"), rows, notes=[step.detail for step in steps]))


def megabytes(path: Path) -> str:
    """Return a file's size in words."""
    return f"{path.stat().st_size / 1e6:.1f} MB"
