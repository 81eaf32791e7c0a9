"""Encoders of one video file: PyAV, whose files survive the end of the process, and OpenCV where it is not installed.

PyAV writes MP4 in fragments and Matroska in clusters of half a second, keeps the time of each frame, and says at once
what the disk refuses. OpenCV's writer can do none of this: its ``.mp4`` is lost with the process, its rate is constant,
and it never says that the disk is full.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import UInt8Array
from ssd_edge.core.log import log
from ssd_edge.streaming.sinks.growing_file import GrowingFile
from ssd_edge.streaming.sources.opencv import open_capture, quiet_stderr, require_ffmpeg, require_utf8
from ssd_edge.streaming.sources.pyav import has_pyav

CODECS = {".mp4": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
"""Suffixes of videos, with the codec that OpenCV writes into them."""

_FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".avi": "avi", ".webm": "webm"}
_X264 = {"preset": "ultrafast", "tune": "zerolatency", "crf": "23", "forced-idr": "1"}  # no frame waits in the encoder
_MPEG4 = {"qmin": "5", "qmax": "5", "b": "100M"}
_VP9 = {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "lag-in-frames": "0", "crf": "30", "b": "4M"}
_JPEG = {"qmin": "4", "qmax": "4", "b": "100M"}
_ENCODERS = {
    ".mp4": (("libx264", _X264), ("mpeg4", _MPEG4)),
    ".mkv": (("libx264", _X264), ("mpeg4", _MPEG4)),
    ".avi": (("mjpeg", _JPEG),),
    ".webm": (("libvpx-vp9", _VP9), ("libvpx", _VP9)),
}
_FRAGMENT_S = 0.5
_KEY_FRAME_S = 2.0
_TICKS = 60000  # a second; MPEG-4 allows no more than 65535
_HYBRID_SINCE = (61, 7)  # libavformat of FFmpeg 7.1
_ROOM_BYTES = 4096  # a block of the usual file systems
_ROOM_CHECK_S = 1.0
_LONGEST_FREEZE_S = 5.0


class Encoder(ABC):
    """One video file that is being written.

    Attributes:
        frames: that were taken.
    """

    frames: int = 0

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes of the file so far."""

    @abstractmethod
    def add(self, image: UInt8Array, seconds: float) -> None:
        """Append a frame at its time from the first one, which rises from frame to frame.

        Raises:
            OSError: the disk or the codec refuses.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish the file; what was taken plays, also after an error.

        Raises:
            OSError: the disk or the codec refuses the rest.
        """


@cache
def has_av() -> bool:
    """Return whether PyAV can be imported, which takes a fifth of a second; where it cannot, say what that means."""
    if has_pyav():
        return True
    log.warning(
        "PyAV is not installed, so OpenCV writes the videos: after a kill an .mp4 cannot be played (an .mkv "
        "can), and frames are repeated or left out to keep a constant rate. To install it: pip install av"
    )
    return False


def open_encoder(
    path: Path, size: tuple[int, int], fps: float, *, finite: bool, fsync_s: float | None = None
) -> Encoder:
    """Return an encoder for frames of one size; odd ones lose their last row or column.

    Args:
        path: ends in one of :data:`CODECS`; replaced.
        size: width and height in pixels.
        fps: frames a second, roughly.
        finite: the video is short enough to become an ordinary MP4, with one index, when it is closed.
        fsync_s: see :class:`~ssd_edge.streaming.sinks.growing_file.GrowingFile`.

    Raises:
        InputError: the size or rate cannot be encoded.
        OSError: the disk refuses.
    """
    if min(size) < 2:
        raise _not_encoded(path, size, fps)
    if has_av():
        return AvEncoder(path, size, fps, finite=finite, fsync_s=fsync_s)
    return OpenCvEncoder(path, size, fps)


def check_encodable(path: Path) -> None:
    """Raise where no video can be written under such a name.

    Raises:
        InputError: another suffix, or a name that OpenCV cannot take.
        DeviceError: PyAV is not installed, and OpenCV has no FFmpeg.
    """
    if path.suffix.lower() not in CODECS:
        raise InputError(f"{path} is not a video file", got=f"suffix {path.suffix!r}", wanted=", ".join(CODECS))
    if not has_av():
        require_utf8(str(path), str(path))
        require_ffmpeg(str(path), "Give --output a folder, or --json a file, instead.")


class AvEncoder(Encoder):
    """Writes with PyAV; see :func:`open_encoder`."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float, *, finite: bool, fsync_s: float | None) -> None:
        import av

        self._av = av
        self._suffix = path.suffix.lower()
        self._width, self._height = (side - side % 2 for side in size)
        self._ticks = _TICKS if self._suffix != ".avi" else 0  # an AVI has a constant rate
        self._time_base = Fraction(1, _TICKS) if self._ticks else 1 / _rate(fps)
        self._last_tick, self._last_key_s = -1, -_KEY_FRAME_S
        self._file = GrowingFile(path, fsync_s)
        try:
            self._container = av.open(
                self._file, "w", format=_FORMATS[self._suffix], options=self._container_options(finite)
            )
            self._stream = self._add_stream(_rate(fps))
            self._container.start_encoding()
        except self._av.error.FFmpegError as error:
            self._file.close()
            path.unlink(missing_ok=True)
            raise _not_encoded(path, size, fps) from error
        except OSError:
            self._file.close()
            raise

    @property
    def size(self) -> int:
        """Bytes of the file so far."""
        return self._file.size

    def add(self, image: UInt8Array, seconds: float) -> None:
        """Append a frame at its time."""
        tick = max(round(seconds / self._time_base), self._last_tick + 1)
        frame = self._av.VideoFrame.from_ndarray(self._planes(image), format="yuv420p")
        frame.pts, frame.time_base, self._last_tick = tick, self._time_base, tick
        if seconds - self._last_key_s >= _KEY_FRAME_S:
            frame.pict_type, self._last_key_s = self._av.video.frame.PictureType.I, seconds
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except self._av.error.FFmpegError as error:
            if isinstance(error, OSError):  # of the system, with its number
                raise
            raise OSError(0, f"the encoder failed: {error.strerror}") from error
        self.frames += 1

    def close(self) -> None:
        """Finish the file."""
        try:
            self._finish()
        except self._av.error.FFmpegError as error:
            if not self._file.failed:  # of a file that has refused something, the container complains again
                raise OSError(0, f"the encoder failed at the end: {error.strerror}") from error
        finally:
            self._file.close()

    def _finish(self) -> None:
        try:
            if not self._file.failed:
                for packet in self._stream.encode():
                    self._container.mux(packet)
        finally:
            self._container.close()  # it may hold half a second of frames

    def _planes(self, image: UInt8Array) -> UInt8Array:
        """Return (H * 3 / 2, W) Y, U and V of an even size; OpenCV converts faster than FFmpeg."""
        even = np.ascontiguousarray(image[: self._height, : self._width])
        return np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8)

    def _container_options(self, finite: bool) -> dict[str, str]:
        options = {"flush_packets": "1"}
        if self._suffix == ".mp4":
            hybrid = finite and self._av.library_versions["libavformat"] >= _HYBRID_SINCE
            flags = "hybrid_fragmented" if hybrid else "empty_moov+default_base_moof"
            options |= {"movflags": f"frag_keyframe+{flags}", "frag_duration": str(round(_FRAGMENT_S * 1e6))}
        if self._suffix in (".mkv", ".webm"):
            options |= {"cluster_time_limit": str(round(_FRAGMENT_S * 1e3))}
        return options

    def _add_stream(self, rate: Fraction) -> Any:
        codec, options = next(known for known in _ENCODERS[self._suffix] if known[0] in self._av.codecs_available)
        stream: Any = self._container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = self._width, self._height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = self._time_base
        return stream


class OpenCvEncoder(Encoder):
    """Writes with OpenCV, at a constant rate: frames are repeated or left out; a long gap is cut to five seconds."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self._path, self._fps = path, fps
        self._encoded, self._shift_s, self._checked = 0, 0.0, time.monotonic()
        self._previous: UInt8Array | None = None
        fourcc = cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()])
        with quiet_stderr():
            self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, fps, size)
        if not self._writer.isOpened():
            self._check_room()
            path.unlink(missing_ok=True)
            raise _not_encoded(path, size, fps)

    @property
    def size(self) -> int:
        """Bytes of the file so far."""
        return self._path.stat().st_size if self._path.exists() else 0

    def add(self, image: UInt8Array, seconds: float) -> None:
        """Append a frame as often as its time asks for."""
        if time.monotonic() - self._checked > _ROOM_CHECK_S:
            self._checked = time.monotonic()
            self._check_room()
        due = self._due(seconds)
        for number in range(due):
            is_last = number == due - 1
            self._writer.write(image if is_last or self._previous is None else self._previous)
        self._encoded += due
        self._previous = image
        self.frames += 1

    def close(self) -> None:
        """Finish the file; one that does not play is removed."""
        self._writer.release()
        readable = count_packets(self._path)
        if readable == 0:
            self._path.unlink(missing_ok=True)
            raise OSError(0, "none of the written frames can be read back, and OpenCV gives no reason")
        self._check_room()
        if readable < self._encoded:
            raise OSError(0, "frames were lost while writing")

    def _due(self, seconds: float) -> int:
        """Return how many frames bring the video up to this time."""
        due = round((seconds - self._shift_s) * self._fps) + 1 - self._encoded
        longest = max(1, round(_LONGEST_FREEZE_S * self._fps))
        if due > longest:
            self._shift_s += (due - longest) / self._fps
        return max(0, min(due, longest))

    def _check_room(self) -> None:
        """Raise OSError where the file could not grow; OpenCV would not say it."""
        size = self.size
        try:
            with self._path.open("ab") as end:
                end.write(bytes(_ROOM_BYTES))
        finally:
            with suppress(OSError):
                os.truncate(self._path, size)


def count_packets(video: Path) -> int:
    """Return the number of encoded frames that can be read; to decode them would take as long again as the run did."""
    capture = open_capture(str(video), cv2.CAP_FFMPEG, {cv2.CAP_PROP_FORMAT: -1})
    count = 0
    while capture is not None and capture.grab():
        count += 1
    if capture is not None:
        capture.release()
    return count


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(1001)


def _not_encoded(path: Path, size: tuple[int, int], fps: float) -> InputError:
    return InputError(
        f"{path} cannot be encoded",
        got=f"{size[0]} x {size[1]} at {fps:g} FPS",
        wanted="a size and rate that the codec supports",
        do="Choose another suffix for --output, or a folder.",
    )
