"""Detections as JSON lines, one for every frame that was inferred, readable while the run goes on."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TextIO

import msgspec
import numpy as np

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError, write_remedy
from ssd_edge.core.frame import Frame
from ssd_edge.core.shell import printable_json
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.streaming.sinks.line_file import LineFile

LINE_FORMAT = "ssd-edge/detections/1"
"""Format tag of each line; its JSON schema is in docs/schema/."""

_ENCODER = msgspec.json.Encoder()
_PIXEL_DIGITS, _SCORE_DIGITS, _SECOND_DIGITS = 2, 5, 4


class Lines(Protocol):
    """Target of the lines: a :class:`~ssd_edge.streaming.sinks.line_file.LineFile`, or stdout.

    Attributes:
        name: in messages.
        pieces: files that were begun.
        last: the latest of them.
    """

    name: str
    pieces: int
    last: Path | None

    def write(self, line: bytes) -> None:
        """Append a line."""

    def close(self) -> None:
        """Finish."""


class JsonLinesSink(Sink):
    """Writes a line for every frame of one source.

    ============= =====================================================================================
    ``format``    :data:`LINE_FORMAT`
    ``stream``    the stream's name; only where several streams run, and with a ``streams.toml``
    ``seq``       number of the line in its stream, from 0, without gaps: a gap is a line that was lost
    ``time``      when the frame was captured, in UTC (ISO 8601, milliseconds)
    ``source``    URI or path, without any password
    ``frame``     number of the frame in its source, from 0
    ``t``         seconds since the source's first frame; in a video, its place
    ``age``       seconds from the capture to this line
    ``dropped``   frames between the line before and this one that were not inferred
    ``detections`` ``box`` (x1, y1, x2, y2 in pixels of the frame), ``score``, ``class_id``, ``label``; where objects
                  are tracked, ``track_id``
    ============= =====================================================================================

    Args:
        lines: where they go, closed by their owner, so that several sources can share them; a path for a file of its
            own; None for stdout.
        stream: name of the stream, for the field of each line; empty for no such field.

    Raises:
        InputError: as of :class:`~ssd_edge.streaming.sinks.line_file.LineFile`; the reader of stdout has gone.
    """

    needs_image = False

    def __init__(self, lines: Lines | Path | None, *, stream: str = "") -> None:
        self._named = {"stream": stream} if stream else {}
        self._own: LineFile | None = None
        if isinstance(lines, Path):
            lines = LineFile(lines)
            self._own = lines
        self._lines: Lines = lines or StdoutLines()
        self._seq, self._next_index, self._dropped = 0, 0, 0

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write one line; also where it is lost, it is counted in ``seq``."""
        self._note(frame)
        fields = self._fields(frame, detections)
        self._seq, self._dropped = self._seq + 1, 0
        self._lines.write(_line(fields))
        self.written += 1
        self.pieces, self.last = self._lines.pieces, self._lines.last

    def pass_over(self, frame: Frame) -> None:
        """Write no line for a frame that was inferred, so that the next line does not count it as dropped."""
        self._note(frame)

    def close(self) -> None:
        """Close the file of its own; stdout stays open.

        Raises:
            InputError: the last lines are lost, and :meth:`write` did not know it.
        """
        if self._own is not None:
            self._own.close()

    def _note(self, frame: Frame) -> None:
        self._dropped += max(0, frame.index - self._next_index)
        self._next_index = frame.index + 1

    def _fields(self, frame: Frame, detections: Detections) -> dict[str, Any]:
        age = max(0.0, time.monotonic() - frame.captured_at)
        return {
            "format": LINE_FORMAT,
            **self._named,
            "seq": self._seq,
            "time": utc_time(time.time() - age),
            "source": frame.source,
            "frame": frame.index,
            "t": round(frame.time, _SECOND_DIGITS),
            "age": round(age, _SECOND_DIGITS),
            "dropped": self._dropped,
            "detections": _entries(detections) if len(detections) else [],
        }


def _entries(detections: Detections) -> list[dict[str, Any]]:
    boxes = np.round(detections.boxes.astype(np.float64), _PIXEL_DIGITS).tolist()
    scores = np.round(detections.scores.astype(np.float64), _SCORE_DIGITS).tolist()
    rows = zip(boxes, scores, detections.class_ids.tolist(), detections.labels, strict=True)
    entries = [
        {"box": box, "score": score, "class_id": class_id, "label": label} for box, score, class_id, label in rows
    ]
    if detections.track_ids is not None:
        for entry, track_id in zip(entries, detections.track_ids.tolist(), strict=True):
            entry["track_id"] = track_id
    return entries


class StdoutLines:
    """Lines on stdout, as it was when this was made, in its encoding; on any thread.

    Raises:
        InputError: while writing, its reader has gone, or its disk is full.
    """

    name = "stdout"
    pieces: int = 0
    last: Path | None = None

    def __init__(self) -> None:
        self._writing = threading.Lock()
        self._stdout: TextIO = sys.stdout  # what replaces it later, for the sake of a progress bar, is not meant

    def write(self, line: bytes) -> None:
        """Append a line."""
        text = line.decode()
        try:
            text.encode(self._stdout.encoding or "utf-8")
        except UnicodeEncodeError:
            text = "".join(sign if sign.isascii() else json.dumps(sign)[1:-1] for sign in text)
        try:
            with self._writing:
                self._stdout.write(text)
                self._stdout.flush()
        except OSError as error:
            self._drop()
            raise InputError(
                f"stdout cannot be written ({error.strerror or error})",
                do="" if isinstance(error, BrokenPipeError) else write_remedy(error, "choose a file with --json"),
            ) from error

    def close(self) -> None:
        """It stays open."""

    def _drop(self) -> None:
        """Python flushes stdout once more when it ends, and would complain again."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stdout.fileno())
        os.close(nowhere)


def _line(fields: dict[str, Any]) -> bytes:
    """JSON as people read it; with escapes where a file's name is no UTF-8.

    msgspec's encoder takes a third of the time of the standard library's, between two inferences, which leave nothing
    of either in the processor's caches.
    """
    try:
        line = msgspec.json.format(_ENCODER.encode(fields), indent=0)
    except UnicodeEncodeError:
        return json.dumps(fields).encode() + b"\n"
    return (line if line.isascii() and b"\x7f" not in line else printable_json(line.decode()).encode()) + b"\n"


def utc_time(seconds: float) -> str:
    """Return seconds since 1970 as a line has them: UTC, ISO 8601, milliseconds."""
    whole, rest = divmod(seconds, 1)
    return f"{_utc_second(int(whole))}.{int(1000 * rest):03d}Z"


@lru_cache(maxsize=8)
def _utc_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
