"""Evaluate the detections that ``ssd-edge run`` wrote as JSON lines against the labels of the video's frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssd_edge.core.choices import Metric
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import read_text
from ssd_edge.core.sample import LabelledSet
from ssd_edge.core.text_parsers import parse_json
from ssd_edge.evaluation.mean_ap import MeanAp, mean_average_precision

_WANTED = '{"frame": 0, "detections": [{"box": [x1, y1, x2, y2], "score": 0.9, "label": "…"}, …], …} in every line'


def evaluate_video(lines: Path, truth: LabelledSet, *, metric: Metric = Metric.VOC) -> MeanAp:
    """Evaluate the lines against a set whose sample number i is frame i; a frame without a line found nothing.

    Raises:
        InputError: the file cannot be read, is damaged, or belongs to a longer video.
    """
    found = read_lines(lines, truth.class_names)
    beyond = [frame for frame in found if not 0 <= frame < len(truth)]
    if beyond:
        raise InputError(
            f"{lines} does not match {truth.origin}",
            got=f"frame {beyond[0]}",
            wanted=f"frames 0 to {len(truth) - 1}",
        )
    detections = [found.get(frame, Detections.empty()) for frame in range(len(truth))]
    return mean_average_precision(detections, truth.samples, truth.class_names, metric=metric)


def read_lines(path: Path, class_names: Sequence[str]) -> dict[int, Detections]:
    """Return the detections of each frame that has a line; class ids number ``class_names``, by label.

    Detections with other labels are left out: there is nothing to evaluate them by.

    Raises:
        InputError: the file cannot be read, or a line is not what ``ssd-edge run`` writes.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read", got=str(error), wanted="JSON lines written by ssd-edge run"
        ) from error
    numbers = {name: number for number, name in enumerate(class_names)}
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            fields = parse_json(line)
            found[int(fields["frame"])] = _detections(fields["detections"], numbers)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise InputError(f"{path}, line {number} is damaged", got=line[:80], wanted=_WANTED) from error
    return found


def _detections(entries: list[dict[str, Any]], numbers: dict[str, int]) -> Detections:
    known = sorted((entry for entry in entries if entry["label"] in numbers), key=lambda entry: -float(entry["score"]))
    return Detections(
        np.array([entry["box"] for entry in known], np.float32).reshape(-1, 4),
        np.array([entry["score"] for entry in known], np.float32),
        np.array([numbers[entry["label"]] for entry in known], np.int64),
    )
