"""A contact sheet of the worst images: one HTML page that needs nothing else."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import FloatArray, UInt8Array
from ssd_edge.core.images import read_image
from ssd_edge.core.sample import Corners
from ssd_edge.data.lint.check import LintReport
from ssd_edge.data.lint.issue import Issue
from ssd_edge.reporting.page import Level, embedded_image, figure, grid, listing, note, pair, write_page

_THUMBNAIL_SIDE = 480
_ERROR, _WARNING, _SOUND = (38, 38, 220), (6, 119, 217), (94, 197, 34)  # BGR
_MARGIN_PX = 1
_LISTED = 12
_NO_BOXES = np.zeros((0, 4), np.float32)


def write_sheet(report: LintReport, page: Path, *, limit: int = 200) -> int:
    """Write the images with the most errors, then those with the most warnings; return how many were drawn.

    Args:
        report: what was found.
        page: the file to write.
        limit: most images on the sheet; each takes some 40 kB.

    Raises:
        InputError: the file cannot be written.
    """
    worst = worst_first(report.issues)
    sound = {sample.image: sample.boxes for found in report.labelled.values() for sample in found.samples}
    figures = [_figure(image, issues, sound.get(image, _NO_BOXES)) for image, issues in worst[:limit]]
    lead = (
        f"{len(report.errors)} errors and {len(report.warnings)} warnings in {len(worst)} images and files, "
        f"worst first; {len(figures)} are shown."
    )
    write_page(
        page,
        title=f"Faults of {report.dataset}",
        subtitle=lead,
        sections=[note("Red: an error. Orange: a warning. Green: the other objects of the image."), grid(figures)],
    )
    return len(figures)


def worst_first(issues: Sequence[Issue]) -> list[tuple[Path, list[Issue]]]:
    """Return the images (or files, where there is no image) with their issues, most errors first."""
    of_image: defaultdict[Path, list[Issue]] = defaultdict(list)
    for issue in issues:
        of_image[issue.image or issue.file].append(issue)

    def badness(entry: tuple[Path, list[Issue]]) -> tuple[int, int]:
        errors = sum(issue.severity == "error" for issue in entry[1])
        return -errors, errors - len(entry[1])

    return sorted(of_image.items(), key=badness)


def _figure(path: Path, issues: Sequence[Issue], sound: FloatArray) -> str:
    others = list(dict.fromkeys(issue.other for issue in issues if issue.other is not None and issue.other != path))
    shown = [_thumbnail(path, issues, sound), *(_thumbnail(other, (), _NO_BOXES) for other in others[:1])]
    images = "".join(embedded_image(image, path.name) for image in shown if image is not None)
    listed: list[tuple[Level, str]] = [(issue.severity, f"{issue.kind}: {issue.message}") for issue in issues[:_LISTED]]
    if len(issues) > _LISTED:
        listed.append(("", f"and {len(issues) - _LISTED} more"))
    return figure(pair(images) if len(shown) > 1 else images, path.name, key=listing(listed))


def _thumbnail(path: Path, issues: Sequence[Issue], sound: FloatArray) -> UInt8Array | None:
    """The image with its boxes, at most 480 pixels wide and high; None where it cannot be read."""
    try:
        image = read_image(path)
    except InputError:
        return None
    scale = min(_THUMBNAIL_SIDE / max(image.shape[:2]), 1.0)
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    for box in sound:
        _draw(small, (box[0], box[1], box[2], box[3]), scale, _SOUND, 1)
    for issue in sorted(issues, key=lambda issue: issue.severity, reverse=True):
        if issue.box is not None:
            _draw(small, issue.box, scale, _ERROR if issue.severity == "error" else _WARNING, 2)
    return small


def _draw(image: UInt8Array, box: Corners, scale: float, color: tuple[int, int, int], width: int) -> None:
    """Draw a box of any kind: one that is no number is left out, one outside is drawn along the edge."""
    if not all(math.isfinite(value) for value in box):
        return
    limits = (image.shape[1], image.shape[0]) * 2
    x1, y1, x2, y2 = (
        round(min(max(value * scale, _MARGIN_PX), limit - 1 - _MARGIN_PX))
        for value, limit in zip(box, limits, strict=True)
    )
    cv2.rectangle(image, (x1, y1), (x2, y2), color, width)
