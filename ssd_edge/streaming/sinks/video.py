"""The frames as a video that plays whatever happens to the run, in one file or in pieces."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock

from ssd_edge.core.errors import InputError, write_remedy
from ssd_edge.core.files import make_folder, path_kind
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.core.log import log
from ssd_edge.core.native_memory import give_back
from ssd_edge.streaming.sinks.base import ImageSink
from ssd_edge.streaming.sinks.encoders import CODECS, Encoder, check_encodable, open_encoder
from ssd_edge.streaming.sinks.output_lock import OutputLock
from ssd_edge.streaming.sinks.pieces import Cut, Retention, piece_path

__all__ = ["CODECS", "VideoSink"]

_CLOSING_S = 0.5  # for a write on another thread to end


class VideoSink(ImageSink):
    """Encodes a video; the suffix of ``path`` chooses container and codec.

    The file is opened, and what was there is replaced, with the first frame. It plays while it grows. Each frame is
    shown at its own time. Where the size of the frames changes, a new piece goes on.

    Args:
        path: a file that ends in one of :data:`CODECS`; with ``cut``, its pieces are called ``<stem>-<UTC><suffix>``,
            and nothing is ever replaced.
        fps: rate of the video, where it is constant.
        by_time: place each frame at its ``time``; otherwise one after the other, at ``fps``.
        finite: the source has an end, so that an MP4 becomes an ordinary one, with one index, when it is closed.
        cut: when a piece ends.
        retention: receives each piece that begins.
        fsync_s: wait until the disk has what was written, at most this often in seconds; None for never.

    Raises:
        InputError: another suffix, a folder that cannot be written, or another run writes there; and, while writing,
            where the disk is full, or a size cannot be encoded. What was written until then plays.
        DeviceError: neither PyAV nor OpenCV's FFmpeg is installed.
    """

    def __init__(
        self,
        path: Path,
        fps: float,
        *,
        by_time: bool = False,
        finite: bool = True,
        cut: Cut | None = None,
        retention: Retention | None = None,
        fsync_s: float | None = None,
    ) -> None:
        check_encodable(path)
        if path_kind(path) == "folder":
            raise InputError(f"{path} is a folder", wanted="a video file to write")
        make_folder(path.parent)
        self._path, self._fps, self._by_time, self._finite = path, fps, by_time, finite
        self._cut, self._retention, self._fsync_s = cut, retention or Retention(), fsync_s
        self._lock = OutputLock(path)
        self._encoder: Encoder | None = None
        self._size = (0, 0)
        self._began, self._first_s, self._last_s = 0.0, 0.0, 0.0
        self._closed, self._writing = False, Lock()
        if cut is not None:
            self._retention.register(path)

    def show(self, frame: Frame, drawn: UInt8Array) -> None:
        """Append the image at its place in time."""
        with self._writing:
            if self._closed:
                raise InputError(f"{self._path} is closed and takes no more frames")
            try:
                encoder = self._current(frame, drawn)
                encoder.add(drawn, self._place(frame, encoder.frames))
            except OSError as error:
                self._give_up()
                raise self._refusal(error) from error

    def close(self) -> None:
        """Finish the video; one whose disk does not answer on another thread is left to itself, and plays so far.

        Raises:
            InputError: its end could not be written; what was written before plays.
        """
        self._closed = True  # at once: a frame that comes later must not begin another piece
        if not self._writing.acquire(timeout=_CLOSING_S):
            return
        try:
            self._end_piece()
        except OSError as error:
            raise self._refusal(error) from error
        finally:
            self._writing.release()
            self._lock.release()

    def _current(self, frame: Frame, drawn: UInt8Array) -> Encoder:
        """Return the encoder of the piece that the frame belongs to."""
        now, size = time.time(), (drawn.shape[1], drawn.shape[0])
        if self._encoder is not None and self._cut and self._cut.is_due(self._began, now, self._encoder.size):
            self._end_piece()
        if self._encoder is not None and size != self._size:
            self._end_piece()
            log.warning(
                f"the frames of {frame.source} are now {size[0]} x {size[1]}, no longer {self._size[0]} x "
                f"{self._size[1]}: {self._path} is continued in another file"
            )
        if self._encoder is None:
            self._encoder = self._begin_piece(frame, size, now)
        return self._encoder

    def _begin_piece(self, frame: Frame, size: tuple[int, int], now: float) -> Encoder:
        path = self._path if self._cut is None and self.pieces == 0 else piece_path(self._path, now, self.last)
        self._began, self._first_s, self._size = now, frame.time, size
        encoder = open_encoder(path, size, self._fps, finite=self._finite, fsync_s=self._fsync_s)
        self.pieces, self.last = self.pieces + 1, path
        self._retention.enforce(self._path, path)
        return encoder

    def _place(self, frame: Frame, number: int) -> float:
        """Return the frame's seconds from the first of its piece; a time that does not rise goes on at the rate."""
        if not self._by_time or number == 0:
            self._last_s = number / self._fps
            return self._last_s
        if frame.time - self._first_s <= self._last_s:
            self._first_s = frame.time - self._last_s - 1 / self._fps
        self._last_s = frame.time - self._first_s
        return self._last_s

    def _end_piece(self) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            self.written += encoder.frames
            try:
                encoder.close()
            finally:
                del encoder  # it goes with the last reference
                give_back()

    def _give_up(self) -> None:
        """Keep what plays of a file that the disk refused."""
        try:
            self._end_piece()
        except OSError as error:
            log.debug(f"closing {self._path} failed too: {error}")

    def _refusal(self, error: OSError) -> InputError:
        return InputError(
            f"{self.last or self._path} takes no more frames ({error.strerror or error})",
            do=f"What was written before is kept. {write_remedy(error, 'choose another place with --output')}",
        )
