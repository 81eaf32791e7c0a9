"""Detections as JSON lines, one a frame, readable while the run goes on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import make_folder
from ssd_edge.core.frame import Frame
from ssd_edge.stream.sink import Sink

_PIXEL_DIGITS, _SCORE_DIGITS, _SECOND_DIGITS = 2, 5, 4


class JsonLinesSink(Sink):
    """Writes ``{"frame", "source", "t", "detections": [{"box", "score", "class_id", "label"}]}`` for every frame.

    ``box`` is x1, y1, x2, y2 in pixels of the original frame. ``t`` is in seconds: the place in the film where its
    rate is known, otherwise since the capture of the first frame. Each line is flushed; the file is opened, and what
    was there is replaced, with the first line.

    Args:
        path: the file; None for stdout.
        class_names: labels by class id.
        film_fps: rate of the film that is played; None for cameras and pictures.

    Raises:
        InputError: the folder cannot be written, or ``path`` is a folder; and, while writing, where the place is full
            or the reader of stdout has gone.
    """

    def __init__(self, path: Path | None, class_names: Sequence[str], film_fps: float | None = None) -> None:
        self._path, self._class_names, self._film_fps = path, class_names, film_fps
        self._file: TextIO | None = None
        self._started: float | None = None
        if path is not None:
            make_folder(path.parent)
            if path.is_dir():
                raise InputError(f"{path} cannot be written", got="a folder", wanted="a file, e.g. boxes.jsonl")

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write one line."""
        line = json.dumps(self._fields(frame, detections), ensure_ascii=False)
        try:
            self._file = self._file or self._open()
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            self._refuse(error)

    def close(self) -> None:
        """Close the file; stdout stays open."""
        if self._file is not None and self._path is not None:
            self._file.close()
        self._file = None

    def _open(self) -> TextIO:
        return sys.stdout if self._path is None else self._path.open("w", encoding="utf-8")

    def _fields(self, frame: Frame, detections: Detections) -> dict[str, Any]:
        boxes = np.round(detections.boxes.astype(np.float64), _PIXEL_DIGITS).tolist()
        scores = np.round(detections.scores.astype(np.float64), _SCORE_DIGITS).tolist()
        found = zip(boxes, scores, detections.class_ids.tolist(), strict=True)
        return {
            "frame": frame.index,
            "source": frame.source,
            "t": round(self._seconds(frame), _SECOND_DIGITS),
            "detections": [
                {"box": box, "score": score, "class_id": class_id, "label": self._class_names[class_id]}
                for box, score, class_id in found
            ],
        }

    def _seconds(self, frame: Frame) -> float:
        if self._film_fps is not None:
            return frame.index / self._film_fps
        if self._started is None:
            self._started = frame.captured_at
        return frame.captured_at - self._started

    def _refuse(self, error: OSError) -> None:
        if self._path is None:
            # Python flushes stdout once more when it ends, and would complain again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise InputError(
            f"{self._path or 'stdout'} cannot be written",
            got=error.strerror or str(error),
            do="Free some space, or choose another place with --json.",
        ) from error
