"""The frames as a film that plays, also when the run was cut short."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import cv2

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import make_folder, path_kind, written_beside
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.streaming.sinks.base import PictureSink
from ssd_edge.streaming.sources.opencv import open_capture, quiet_stderr, require_ffmpeg, require_utf8

CODECS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
_LONGEST_FREEZE_S = 5.0
_ROOM_BYTES = 4096  # a block of the usual file systems
_PACKETS = {cv2.CAP_PROP_FORMAT: -1}


def is_whole(film: Path, frames: int) -> bool:
    """Return whether the closed film plays, and none of its frames is lost."""
    return _plays(film) and has_room(film) and _packets(film) >= frames


def has_room(file: Path) -> bool:
    """Return whether the file could grow; it stays as it is.

    A disk that ended within the last frame, which the number of frames does not show, is still full.
    """
    try:
        size = file.stat().st_size if file.exists() else 0
        with file.open("ab") as end:
            end.write(bytes(_ROOM_BYTES))
        os.truncate(file, size)
    except OSError:
        return False
    return True


def _plays(film: Path) -> bool:
    capture = open_capture(str(film), cv2.CAP_FFMPEG)
    if capture is None:
        return False
    plays = bool(capture.grab())
    capture.release()
    return plays


def _packets(film: Path) -> int:
    """Count the encoded frames that can be read; decoding them would take as long again as the run did."""
    capture = open_capture(str(film), cv2.CAP_FFMPEG, _PACKETS)
    count = 0
    if capture is not None:
        while capture.grab():
            count += 1
        capture.release()
    return count


class VideoSink(PictureSink):
    """Encodes a film; the suffix of ``path`` chooses container and codec.

    The film grows beside ``path`` and takes its place on closing. Codecs take even sizes: of an odd one the last row or
    column is left out.

    Args:
        path: a file that ends in one of :data:`CODECS`.
        fps: rate of the film.
        real_time: repeat or leave out pictures so that the film takes as long as the run did (for live sources);
            a gap of more than five seconds is cut to five. Otherwise each frame is written once.

    Raises:
        InputError: another suffix, a name that is no UTF-8, or a folder that cannot be written; and, while writing,
            pictures of another size than the first, or a size or codec that OpenCV cannot encode.
        DeviceError: OpenCV has no FFmpeg.
    """

    def __init__(self, path: Path, fps: float, *, real_time: bool = False) -> None:
        if path.suffix.lower() not in CODECS:
            raise InputError(f"{path} is no film", got=f"suffix {path.suffix!r}", wanted=", ".join(CODECS))
        require_utf8(str(path), str(path))
        require_ffmpeg(str(path), "Give --output a folder, or --json a file, instead.")
        if path_kind(path) == "folder":
            raise InputError(f"{path} cannot be written", got="a folder", wanted="a file")
        make_folder(path.parent)
        self._path, self._fps, self._real_time = path, fps, real_time
        self._beside = ExitStack()
        self._writer: cv2.VideoWriter | None = None
        self._encoded, self._began = 0, 0.0
        self._partial, self._size = path, (0, 0)
        self._previous: UInt8Array | None = None

    def show(self, frame: Frame, picture: UInt8Array) -> None:
        """Append the picture, in its place in time where the film is in real time."""
        self._writer = self._writer or self._open(frame)
        if (frame.width, frame.height) != self._size:
            raise InputError(
                f"{self._path} takes pictures of one size",
                got=f"{frame.width} x {frame.height} after {self._size[0]} x {self._size[1]}",
                do="Give --output a folder instead.",
            )
        due = self._due(frame)
        for place in range(due):
            last = place == due - 1
            self._writer.write(picture if last or self._previous is None else self._previous)
        self._encoded += due
        self._previous = picture if self._real_time else None

    def close(self) -> None:
        """Finish the film and put it in its place; nothing is left where no frame came.

        Raises:
            InputError: frames were lost on their way, because the disk is full for example.
        """
        if self._writer is None:
            return
        with self._beside:
            self._writer.release()
            self._writer = None
            if not is_whole(self._partial, self._encoded):
                raise self._lost()
        self.written = self._encoded

    def _lost(self) -> InputError:
        return InputError(
            f"{self._path} could not be completed", wanted="free space on its disk", do="Free some, run again."
        )

    def _open(self, frame: Frame) -> cv2.VideoWriter:
        self._began, self._size = frame.captured_at, (frame.width, frame.height)
        fourcc = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
        with ExitStack() as beside:
            self._partial = beside.enter_context(written_beside(self._path))
            with quiet_stderr():
                writer = cv2.VideoWriter(str(self._partial), cv2.CAP_FFMPEG, fourcc, self._fps, self._size)
            if not writer.isOpened() and not has_room(self._partial):
                raise self._lost()
            if not writer.isOpened():
                raise InputError(
                    f"{self._path} cannot be encoded",
                    got=f"{frame.width} x {frame.height} at {self._fps:g} FPS",
                    wanted="a size and rate that the codec takes",
                    do="Choose another suffix for --output, or give it a folder.",
                )
            self._beside = beside.pop_all()
        return writer

    def _due(self, frame: Frame) -> int:
        """Return how many pictures bring the film up to this frame's time."""
        if not self._real_time:
            return 1
        due = round((frame.captured_at - self._began) * self._fps) + 1 - self._encoded
        longest = max(1, round(_LONGEST_FREEZE_S * self._fps))
        if due > longest:
            self._began += (due - longest) / self._fps
        return max(0, min(due, longest))
