"""The page of an evaluation: figures, curves of each class, detections against truth, and the video of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ssd_edge import __version__
from ssd_edge.core.files import make_folder
from ssd_edge.core.images import write_image
from ssd_edge.core.sample import LabelledSet
from ssd_edge.evaluation.evaluate import EvaluatedModel, Evaluation
from ssd_edge.evaluation.example_images import drawn, marked, spread
from ssd_edge.evaluation.report_content import Report
from ssd_edge.evaluation.sections import cards, sections
from ssd_edge.reporting.images import CaptionedImage
from ssd_edge.reporting.page import write_page

STILLS = 12


def write_report(path: Path, report: Report) -> None:
    """Write the page of a report; images are inside it, the video is linked where it lies.

    Raises:
        InputError: the folder cannot be written.
    """
    write_page(
        path,
        title=report.title,
        subtitle=report.subtitle,
        cards=cards(report),
        sections=sections(report, path),
        footer=report.footer,
    )


def stills_folder(page: Path) -> Path:
    """Return where the images of ``page`` lie: ``figures-stills`` beside ``figures.html``."""
    return page.with_name(f"{page.stem}-stills")


def write_evaluation_report(
    page: Path, models: Sequence[EvaluatedModel], labelled: LabelledSet, *, score: float = 0.5
) -> None:
    """Write the page, which holds everything in itself, and its images as PNG into :func:`stills_folder`.

    The images show the last model's detections of ``score`` or more, from the image with most mistakes to the best.

    Raises:
        InputError: the folder cannot be written, or an image cannot be read any more.
    """
    last = models[-1]
    stills = _stills(stills_folder(page), last.evaluation, labelled, score)
    report = Report(
        title=f"Evaluation of {', '.join(model.path.name for model in models)}",
        subtitle=f"{labelled.origin}: {len(labelled)} images, {labelled.object_count} objects. "
        f"Images: {last.path.name}, detections with a score of {score:g} or more.",
        models=tuple(models),
        footer=f"ssd-edge {__version__}",
        stills=stills,
    )
    write_report(page, report)


def _stills(folder: Path, found: Evaluation, labelled: LabelledSet, score: float) -> tuple[CaptionedImage, ...]:
    marks = marked(found.detections, labelled, score=score)
    stills = drawn(marks, labelled, spread(marks, STILLS))
    make_folder(folder)
    for old in folder.glob("[0-9][0-9]-*.png"):  # ours, of an earlier evaluation
        old.unlink()
    for place, still in enumerate(stills, start=1):
        write_image(folder / f"{place:02d}-{still.name}.png", still.image)
    return stills
