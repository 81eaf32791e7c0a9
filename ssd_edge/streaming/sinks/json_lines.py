"""Detections as JSON lines, one a frame, readable while the run goes on."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.files import make_folder, path_kind
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.sinks.base import Sink

_PIXEL_DIGITS, _SCORE_DIGITS, _SECOND_DIGITS = 2, 5, 4


class JsonLinesSink(Sink):
    """Writes ``{"frame", "source", "t", "detections": [{"box", "score", "class_id", "label"}]}`` for every frame.

    ``box`` is x1, y1, x2, y2 in pixels of the original frame. ``t`` is in seconds: the place in the film where its
    rate is known, otherwise since the capture of the first frame. Each line is flushed; the file is opened, and what
    was there is replaced, with the first line.

    Args:
        path: the file; None for stdout.
        film_fps: rate of the film that is played; None for cameras and pictures.

    Raises:
        InputError: the file or its folder cannot be written, or ``path`` is a folder; and, while writing or closing,
            where the place is full or the reader of stdout has gone.
    """

    def __init__(self, path: Path | None, film_fps: float | None = None) -> None:
        self._path, self._film_fps = path, film_fps
        self._stdout = sys.stdout  # bound here: what replaces it later, for the sake of a progress bar, is not meant
        self._encoding = self._stdout.encoding or "utf-8" if path is None else "utf-8"
        self._file: TextIO | None = None
        self._failed = False
        self._started: float | None = None
        if path is not None:
            _refuse_unwritable(path)

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write one line."""
        line = self._line(self._fields(frame, detections))
        try:
            self._file = self._file or self._open()
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            self._failed = True
            self._drop_stdout()
            raise self._refusal(error) from error
        self.written += 1

    def close(self) -> None:
        """Close the file; stdout stays open.

        Raises:
            InputError: the last lines are lost, and :meth:`write` did not know it.
        """
        file, self._file = self._file, None
        if file is None or self._path is None:
            return
        try:
            file.close()
        except OSError as error:
            if not self._failed:  # closing tries once more to write what write has complained about
                raise self._refusal(error) from error

    def _open(self) -> TextIO:
        return self._stdout if self._path is None else self._path.open("w", encoding=self._encoding)

    def _line(self, fields: dict[str, Any]) -> str:
        """JSON as people read it; with escapes where the encoding lacks a sign, or a file's name is no UTF-8."""
        line = json.dumps(fields, ensure_ascii=False)
        try:
            line.encode(self._encoding)
        except UnicodeEncodeError:
            return json.dumps(fields)
        return line

    def _fields(self, frame: Frame, detections: Detections) -> dict[str, Any]:
        boxes = np.round(detections.boxes.astype(np.float64), _PIXEL_DIGITS).tolist()
        scores = np.round(detections.scores.astype(np.float64), _SCORE_DIGITS).tolist()
        found = zip(boxes, scores, detections.class_ids.tolist(), detections.labels, strict=True)
        return {
            "frame": frame.index,
            "source": frame.source,
            "t": round(self._seconds(frame), _SECOND_DIGITS),
            "detections": [
                {"box": box, "score": score, "class_id": class_id, "label": label}
                for box, score, class_id, label in found
            ],
        }

    def _seconds(self, frame: Frame) -> float:
        if self._film_fps is not None:
            return frame.index / self._film_fps
        if self._started is None:
            self._started = frame.captured_at
        return frame.captured_at - self._started

    def _refusal(self, error: OSError) -> InputError:
        return InputError(
            f"{self._path or 'stdout'} cannot be written",
            got=error.strerror or str(error),
            do="" if isinstance(error, BrokenPipeError) else "Free some space, or choose another place with --json.",
        )

    def _drop_stdout(self) -> None:
        """Python flushes stdout once more when it ends, and would complain again."""
        if self._path is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stdout.fileno())
            os.close(nowhere)


def _refuse_unwritable(path: Path) -> None:
    """Raise InputError where no file can be opened; devices and pipes are left to the first line."""
    kind = path_kind(path)
    if kind == "folder":
        raise InputError(f"{path} cannot be written", got="a folder", wanted="a file, e.g. boxes.jsonl")
    if kind == "absent":
        make_folder(path.parent)
    if kind == "file":
        try:
            path.open("ab").close()
        except OSError as error:
            raise InputError(
                f"{path} cannot be written",
                got=error.strerror or str(error),
                wanted="a writable file",
                do="Choose another place with --json, or change its permissions.",
            ) from error
