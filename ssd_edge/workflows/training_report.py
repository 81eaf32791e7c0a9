"""The report of a finished run: a page, and its charts and example images as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd_edge import __version__
from ssd_edge.core.choices import Metric
from ssd_edge.core.errors import MissingPackageError, SsdEdgeError
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressCallback, no_progress, stage
from ssd_edge.core.sample import LabelledSet
from ssd_edge.evaluation import sections
from ssd_edge.evaluation.evaluate import EvaluatedModel, Evaluation
from ssd_edge.evaluation.example_images import COLOR_KEY, drawn, extremes, marked
from ssd_edge.evaluation.tide_errors import error_costs
from ssd_edge.reporting.chart import Panel, Series, save_charts
from ssd_edge.reporting.images import CaptionedImage, save_images
from ssd_edge.reporting.page import card, write_page
from ssd_edge.training.metrics import EpochRecord, best_epoch, read_metrics
from ssd_edge.workflows.evaluate_file import evaluate_file

_SCORE = 0.5
_STILLS = 6
_STILLS_IN_PNG = 4


def learning_curves(epochs: Sequence[EpochRecord]) -> list[Panel]:
    """Return charts of the loss and its parts, the mean AP, the learning rate and the speed; at least one epoch."""
    numbers = tuple(float(epoch.epoch) for epoch in epochs)
    panels = [
        Panel(
            "Loss, mean of the epoch",
            "epoch",
            (
                Series("total", numbers, tuple(epoch.loss for epoch in epochs)),
                Series("boxes", numbers, tuple(epoch.localisation_loss for epoch in epochs)),
                Series("classes", numbers, tuple(epoch.confidence_loss for epoch in epochs)),
            ),
        ),
        _accuracy(epochs),
        Panel(
            "Learning rate at the end of the epoch",
            "epoch",
            (Series("learning rate", numbers, tuple(epoch.learning_rate for epoch in epochs)),),
        ),
        Panel(
            "Speed of training, images/s",
            "epoch",
            (Series("images/s", numbers, tuple(epoch.images_per_s for epoch in epochs)),),
        ),
    ]
    return [panel for panel in panels if panel is not None]


def _accuracy(epochs: Sequence[EpochRecord]) -> Panel | None:
    points = [(float(epoch.epoch), epoch.mean_ap) for epoch in epochs if epoch.mean_ap is not None]
    best = best_epoch(epochs)
    if best is None or best.mean_ap is None:
        return None
    x, y = zip(*points, strict=True)
    return Panel(
        "mAP@0.5 of the validation images",
        "epoch",
        (Series("mAP@0.5", x, y),),
        top=1.0,
        mark=(float(best.epoch), best.mean_ap),
        remark=f"best {best.mean_ap:.3f}, epoch {best.epoch}",
    )


@dataclass(frozen=True)
class _Run:
    """A finished run and its evaluation."""

    best: Path
    records: Sequence[EpochRecord]
    evaluated: LabelledSet
    found: Evaluation
    worst: tuple[CaptionedImage, ...]
    good: tuple[CaptionedImage, ...]

    @property
    def name(self) -> str:
        return self.best.parent.name


def report_on(
    run: Path, evaluated: LabelledSet, *, cores: int | None = None, progress: ProgressCallback = no_progress
) -> Path:
    """Write the report of a run that is over and return its page; without matplotlib the page alone is written.

    Raises:
        InputError, ArtifactError: as :func:`write_training_report`; the run itself is on the disk all the same.
    """
    try:
        page, *images = write_training_report(run, evaluated, cores=cores, progress=progress)
    except MissingPackageError as error:
        page = run / "report.html"
        log.info(f"report: {page}, without images: {error}")
    except SsdEdgeError:
        log.info(f"the checkpoints and metrics.csv in {run} are complete; only the report could not be written")
        raise
    else:
        log.info(f"report: {page} and {', '.join(path.name for path in images)}")
    return page


def write_training_report(
    run: Path, evaluated: LabelledSet, *, cores: int | None = None, progress: ProgressCallback = no_progress
) -> list[Path]:
    """Evaluate ``run``/best.pt, draw the run's metrics.csv, and return the files that were written.

    These are report.html (it holds everything in itself), curves.png, pr_curves.png and detections.png.

    Args:
        run: the folder of a run, with best.pt and metrics.csv.
        evaluated: the images to evaluate on, those that the best epoch was chosen by.
        cores: of the processor; None for all.
        progress: receives the stage ``evaluating best.pt``.

    Raises:
        InputError: a file or image cannot be read, or the folder cannot be written.
        ArtifactError: best.pt or metrics.csv is damaged.
        MissingPackageError: matplotlib is not installed; report.html is written by then.
    """
    records = read_metrics(run / "metrics.csv")
    best = run / "best.pt"
    with stage(progress, "evaluating best.pt") as done:
        found = evaluate_file(best, evaluated, metric=Metric.VOC, cores=cores, progress=done)
    finished = _Run(best, records, evaluated, found, *_stills(found, evaluated))
    _write_page(run / "report.html", finished)
    return [run / "report.html", *_draw(run, finished)]


def _stills(found: Evaluation, evaluated: LabelledSet) -> tuple[tuple[CaptionedImage, ...], tuple[CaptionedImage, ...]]:
    marks = marked(found.detections, evaluated, score=_SCORE)
    worst, good = extremes(marks, _STILLS)
    return drawn(marks, evaluated, worst), drawn(marks, evaluated, good)


def _draw(run: Path, finished: _Run) -> list[Path]:
    curves, precision_recall, detections = (run / f"{name}.png" for name in ("curves", "pr_curves", "detections"))
    accuracy = finished.found.accuracy
    save_charts(curves, f"Training of {finished.name}", learning_curves(finished.records))
    save_charts(
        precision_recall,
        f"{finished.name}: precision over recall, IoU {accuracy.iou_threshold:g}",
        sections.class_panels(finished.name, accuracy),
    )
    rows = [("Most mistakes", finished.worst[:_STILLS_IN_PNG]), ("Fewest mistakes", finished.good[:_STILLS_IN_PNG])]
    shown = [(heading, stills) for heading, stills in rows if stills]
    save_images(detections, f"Detections of {finished.name}", shown, COLOR_KEY)
    return [curves, precision_recall, detections]


def _write_page(page: Path, run: _Run) -> None:
    write_page(
        page,
        title=f"Training of {run.name}",
        subtitle=f"Evaluated on {run.evaluated.origin}: {len(run.evaluated)} images, "
        f"{run.evaluated.object_count} objects.",
        cards=_cards(run),
        sections=_sections(run),
        footer=f"ssd-edge {__version__}",
    )


def _sections(run: _Run) -> list[str]:
    accuracy, label = run.found.accuracy, run.best.name
    evaluated = [
        EvaluatedModel(label, run.best, run.found, error_costs(run.found.detections, run.evaluated.samples, accuracy))
    ]
    chosen = f"Detections with a score of {_SCORE:g} or more: first the images with most mistakes, then with fewest."
    return [
        sections.panel_section("Learning", "Figures of each epoch.", learning_curves(run.records)),
        sections.class_section([(label, accuracy)]),
        sections.curve_section(evaluated),
        sections.threshold_section(label, accuracy),
        sections.error_section(evaluated),
        sections.still_section(chosen, run.worst + run.good),
    ]


def _cards(run: _Run) -> list[str]:
    accuracy, best, last = run.found.accuracy, best_epoch(run.records), run.records[-1]
    images = sum(record.images for record in run.records)
    chosen = f", epoch {best.epoch} of {last.epoch}" if best else ""
    return [
        card(f"{accuracy.mean_ap:.3f}", f"mAP@{accuracy.iou_threshold:g} of best.pt{chosen}"),
        card(f"{last.loss:.2f}", f"loss of the last epoch, {run.records[0].loss:.2f} of the first"),
        card(_duration(last.seconds), f"{images} images trained on, validation included"),
        card(sections.megabytes(run.best), "best.pt on disk"),
    ]


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if seconds >= 120 else f"{seconds:.0f} s"
