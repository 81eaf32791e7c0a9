"""The demo's last step: every artefact and the film judged, and the page about them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssd_edge import __version__
from ssd_edge.cli.console import bar
from ssd_edge.core.choices import Metric
from ssd_edge.demo.plan import PRESET, DemoFiles, DemoPlan
from ssd_edge.workflows.open_model import evaluate_file

if TYPE_CHECKING:
    from ssd_edge.core.frame import UInt8Array
    from ssd_edge.core.sample import LabelledSet
    from ssd_edge.demo.step_cache import Done, Facts
    from ssd_edge.evaluation.evaluate import EvaluatedModel
    from ssd_edge.evaluation.report_content import Film
    from ssd_edge.reporting.images import CaptionedImage

_STILL_SCORE = 0.5


def judge(plan: DemoPlan, files: DemoFiles, before: Sequence[Done]) -> Facts:
    """``eval``: judge checkpoint, ONNX, engine and film; write eval.json, stills and report.html."""
    from ssd_edge.core.files import written_beside
    from ssd_edge.data.find import open_dataset
    from ssd_edge.evaluation.report import write_report
    from ssd_edge.evaluation.report_content import Report, StepTime
    from ssd_edge.evaluation.summary import summary_json

    held_out = open_dataset(files.held_out, "test")
    judged = _judged(files, held_out)
    film = _film(plan, files, held_out, next(done.facts for done in before if done.name == "run"))
    report = Report(
        title="Road signs, from nothing to boxes on a film",
        subtitle=f"{PRESET} at {plan.input_size} × {plan.input_size}, trained for {plan.minutes:g} minutes on "
        f"{plan.train} drawn pictures, judged on {plan.test} that were drawn from another seed.",
        models=judged,
        footer=_machine(),
        film=film,
        stills=_stills(plan, files, judged[-1], held_out),
        steps=tuple(StepTime(done.name, done.facts["detail"], done.seconds) for done in before),
    )
    with written_beside(files.figures) as partial:
        text = summary_json(judged, held_out)
        partial.write_text(text, encoding="utf-8")
    write_report(files.report, report)
    return _facts(judged, film)


def _judged(files: DemoFiles, held_out: LabelledSet) -> tuple[EvaluatedModel, ...]:
    from ssd_edge.evaluation.evaluate import EvaluatedModel

    judged = []
    for label, path in (("checkpoint", files.checkpoint), ("ONNX", files.onnx), ("engine", files.engine)):
        with bar(f"judging the {label}") as progress:
            judged.append(
                EvaluatedModel(label, path, evaluate_file(path, held_out, metric=Metric.VOC, progress=progress))
            )
    return tuple(judged)


def _film(plan: DemoPlan, files: DemoFiles, held_out: LabelledSet, facts: Mapping[str, Any]) -> Film:
    from ssd_edge.data.video_truth import read_film_truth, truth_path
    from ssd_edge.evaluation.report_content import Film, StageLatency
    from ssd_edge.evaluation.video import evaluate_film

    truth = read_film_truth(truth_path(files.film), held_out.class_names)
    return Film(
        annotated=files.annotated,
        preview=files.preview,
        poster=_poster(files, truth.class_names),
        lines=files.lines,
        frames=facts["frames"],
        fps=facts["fps"],
        stages=tuple(StageLatency(**stage) for stage in facts["stages"]),
        accuracy=evaluate_film(files.lines, truth),
        score_threshold=plan.score_threshold,
    )


def _poster(files: DemoFiles, class_names: Sequence[str]) -> UInt8Array:
    """Return the frame of the annotated film that has most detections."""
    from ssd_edge.core.errors import ArtefactError
    from ssd_edge.evaluation.video import read_lines
    from ssd_edge.streaming.sources.factory import open_source

    found = read_lines(files.lines, class_names)
    busiest = max(found, key=lambda number: len(found[number]))
    with open_source(str(files.annotated)) as film:
        for frame in film:
            if frame.index == busiest:
                return frame.image
    raise ArtefactError(f"{files.annotated} is shorter than {files.lines}", wanted=f"{busiest + 1} frames")


def _stills(
    plan: DemoPlan, files: DemoFiles, judged: EvaluatedModel, held_out: LabelledSet
) -> tuple[CaptionedImage, ...]:
    """Mark held-out pictures from the worst to the best, and keep them as files too."""
    from ssd_edge.core.images import write_image
    from ssd_edge.evaluation.example_images import drawn, marked, spread

    marks = marked(judged.evaluation.detections, held_out, score=_STILL_SCORE)
    stills = drawn(marks, held_out, spread(marks, plan.stills))
    for old in files.stills.glob("*.jpg"):
        old.unlink()
    for still in stills:
        write_image(files.stills / f"{still.name}.jpg", still.image)
    return stills


def _facts(judged: Sequence[EvaluatedModel], film: Film) -> Facts:
    """Return the figures that the command prints, as rows of model, mAP, median milliseconds and frames a second."""
    rows = [
        (
            f"{entry.label}, held-out pictures",
            f"{entry.evaluation.accuracy.mean_ap:.4f}",
            f"{entry.evaluation.median_ms:.2f}",
            f"{entry.evaluation.fps:.0f}",
        )
        for entry in judged
    ]
    on_film = f"{film.accuracy.mean_ap:.4f}" if film.accuracy else "–"
    rows.append(("engine, film, end to end", on_film, "", f"{film.fps:.0f}"))
    engine = judged[-1].evaluation.accuracy.mean_ap
    return {"detail": f"mAP@0.5 of the engine {engine:.4f} on held-out pictures, {on_film} on the film", "table": rows}


def _machine() -> str:
    from datetime import datetime, timezone

    import onnxruntime

    from ssd_edge.backends.cpu import physical_cores

    day = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    return (
        f"ssd-edge {__version__}, ONNX Runtime {onnxruntime.__version__}, Python {platform.python_version()}, "
        f"{_processor()}, {physical_cores()} cores, {day}"
    )


def _processor() -> str:
    """Return the processor's trade name where the system tells it, otherwise its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
