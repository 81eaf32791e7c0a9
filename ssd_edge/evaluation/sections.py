"""The sections of the report, from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ssd_edge.evaluation.curves import class_chart
from ssd_edge.evaluation.page import card, embedded_image, figure, link, section, table, video
from ssd_edge.evaluation.report_content import Film, Judged, Report, StepTime, Still


def cards(report: Report) -> list[str]:
    """Return the big figures at the top."""
    deployed = report.judged[-1]
    accuracy = deployed.evaluation.accuracy
    images = len(deployed.evaluation.detections)
    found = [
        card(f"{accuracy.mean_ap:.3f}", f"mAP@{accuracy.iou_threshold:g} of the {deployed.label}, {images} images"),
        card(f"{deployed.evaluation.median_ms:.1f} ms", f"a picture, median, {deployed.label}"),
    ]
    if report.film:
        found.append(card(f"{report.film.fps:.0f} FPS", f"end to end on the film, {report.film.frames} frames"))
    found.append(card(_megabytes(deployed.path), f"on disk, {deployed.path.name}"))
    return found


def sections(report: Report, page: Path) -> list[str]:
    """Return the parts below the cards, in order; those without content are left out."""
    parts = [_film(report.film, page)] if report.film else []
    parts += [_artefacts(report.judged), _classes(report), _curves(report.judged)]
    if report.stills:
        parts.append(_stills(report.stills))
    if report.film and report.film.stages:
        parts.append(_latency(report.film))
    if report.steps:
        parts.append(_steps(report.steps))
    return parts


def _film(film: Film, page: Path) -> str:
    judged = (
        f"mAP@{film.accuracy.iou_threshold:g} {film.accuracy.mean_ap:.3f} against its labels, " if film.accuracy else ""
    )
    text = (
        f"{film.frames} frames at {film.fps:.0f} FPS from end to end (read, detected, drawn and encoded), {judged}"
        f"detections over score {film.score_threshold:g}."
    )
    player = figure(video(film.preview, page, film.poster), film.preview.name)
    note = f'<p class="note">In full: {link(film.annotated, page)}. Every box: {link(film.lines, page)}.</p>'
    return section("The film", text, player + note)


def _artefacts(judged: Sequence[Judged]) -> str:
    first = judged[0].evaluation.accuracy
    columns = ["artefact", f"mAP@{first.iou_threshold:g}", "mAP@.5:.95", "median ms", "p95 ms", "FPS", "size"]
    rows = [_artefact_row(entry) for entry in judged]
    if len(judged) > 1:
        columns.insert(2, f"against {judged[0].label}")
        for row, entry in zip(rows, judged, strict=True):
            row.insert(2, f"{entry.evaluation.accuracy.mean_ap - first.mean_ap:+.4f}")
    text = (
        f"The same images, the same judge ({first.metric.description}), one picture at a time: from the decoded "
        "picture to boxes in its pixels."
    )
    return section("One model, every form", text, table(columns, rows))


def _artefact_row(entry: Judged) -> list[str]:
    evaluation = entry.evaluation
    times = (f"{evaluation.median_ms:.2f}", f"{evaluation.p95_ms:.2f}", f"{evaluation.fps:.0f}")
    accuracy = evaluation.accuracy
    return [entry.label, f"{accuracy.mean_ap:.4f}", f"{accuracy.mean_ap_50_95:.4f}", *times, _megabytes(entry.path)]


def _classes(report: Report) -> str:
    accuracies = [(entry.label, entry.evaluation.accuracy) for entry in report.judged]
    if report.film and report.film.accuracy:
        accuracies.append(("film", report.film.accuracy))
    rows = []
    for number, entry in enumerate(accuracies[0][1].classes):
        rows.append((entry.name, str(entry.objects), *(a.classes[number].ap_text for _, a in accuracies)))
    rows.append(("mean", "", *(f"{accuracy.mean_ap:.3f}" for _, accuracy in accuracies)))
    columns = ("class", "objects", *(label for label, _ in accuracies))
    return section("AP of each class", "A dash: no object of the class in these images.", table(columns, rows))


def _curves(judged: Sequence[Judged]) -> str:
    labels = [escape(entry.label) for entry in judged]
    keys = "".join(f'<span class="series-{n}"><i></i><b>{label}</b></span>' for n, label in enumerate(labels))
    charts = []
    for number, known in enumerate(judged[0].evaluation.accuracy.classes):
        curves = [entry.evaluation.accuracy.classes[number] for entry in judged]
        charts.append(figure(class_chart(curves), known.name, f"AP {curves[-1].ap_text}"))
    text = "Precision (up) over recall (right) as the score threshold falls; lines that agree lie on one another."
    body = f'<div class="key">{keys}</div><div class="grid-of-curves">{"".join(charts)}</div>'
    return section("Precision and recall", text, body)


def _stills(stills: Sequence[Still]) -> str:
    key = (
        '<div class="key"><span class="found"><i></i>found</span><span class="wrong"><i></i>wrong</span>'
        '<span class="missed"><i></i>missed</span></div>'
    )
    figures = [figure(embedded_image(still.image, still.name), still.name, still.verdict) for still in stills]
    text = "From the pictures with most mistakes to those with none, in equal steps: not a choice of the best."
    return section("Detections against truth", text, f'{key}<div class="grid-of-stills">{"".join(figures)}</div>')


def _latency(film: Film) -> str:
    rows = [(s.stage.replace("_", " "), f"{s.p50_ms:.2f}", f"{s.p95_ms:.2f}", f"{s.p99_ms:.2f}") for s in film.stages]
    text = "Milliseconds a frame on the film. Stages run at the same time, so the slowest one sets the pace."
    return section("Latency of each stage", text, table(("stage", "p50", "p95", "p99"), rows))


def _steps(steps: Sequence[StepTime]) -> str:
    rows = [(step.name, step.detail, f"{step.seconds:.1f} s") for step in steps]
    return section("How it was made", "", table(("step", "result", "time"), rows))


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
