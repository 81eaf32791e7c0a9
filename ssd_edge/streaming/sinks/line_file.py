"""A file that grows by whole lines: cut into pieces, never torn, with one writer."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from ssd_edge.core.errors import InputError, write_remedy
from ssd_edge.core.files import make_folder, path_kind
from ssd_edge.streaming.sinks.output_lock import OutputLock
from ssd_edge.streaming.sinks.pieces import Cut, Retention, piece_path

_CLOSING_S = 0.5  # for a write on another thread to end


class LineFile:
    """Appends lines, each with one call of the system, so that the end of the process tears none; on any thread.

    The file is opened, and what was there is replaced, with the first line. Where the disk takes only a part of a line,
    that part is cut away again. A device or a named pipe is written as it is.

    Args:
        path: the file; with ``cut``, its pieces are called ``<stem>-<UTC><suffix>``, and nothing is ever replaced.
        cut: when a piece ends.
        retention: receives each piece that begins.
        fsync_s: wait until the disk has the lines, at most this often in seconds; 0 for each line, None for never.

    Attributes:
        name: the path as text.
        pieces: files that were begun.
        last: the latest of them.

    Raises:
        InputError: the file or its folder cannot be written, ``path`` is a folder, or another run writes there; and,
            while writing or closing, where the place is full.
    """

    def __init__(
        self,
        path: Path,
        *,
        cut: Cut | None = None,
        retention: Retention | None = None,
        fsync_s: float | None = None,
    ) -> None:
        _check_writable(path)
        self._path, self._cut, self._retention, self._fsync_s = path, cut, retention or Retention(), fsync_s
        self._is_regular = path_kind(path) != "other"
        self._lock = OutputLock(path) if self._is_regular else None
        self._descriptor: int | None = None
        self._size, self._began, self._synced = 0, 0.0, 0.0
        self._writing = Lock()
        self._closed = False
        self.name = str(path)
        self.pieces: int = 0
        self.last: Path | None = None
        if cut is not None:
            self._retention.register(path)

    def write(self, line: bytes) -> None:
        """Append a line, which ends in a newline.

        Raises:
            InputError: the file cannot be written; the lines before are whole.
        """
        try:
            with self._writing:
                if self._closed:
                    raise InputError(f"{self._path} is closed and takes no more lines")
                self._append(self._current(), line)
        except OSError as error:
            raise self._refusal(error) from error

    def close(self) -> None:
        """Close the file. A write that hangs on another thread, on a disk that does not answer, is left to itself.

        Raises:
            InputError: the last lines are lost, and :meth:`write` did not know it.
        """
        self._closed = True  # at once: a line that comes later must not begin the file anew
        if not self._writing.acquire(timeout=_CLOSING_S):
            return  # it still holds the descriptor, and so the lock stays too
        try:
            self._end_piece()
        except OSError as error:
            raise self._refusal(error) from error
        finally:
            self._writing.release()
            if self._lock is not None:
                self._lock.release()

    def _current(self) -> int:
        """Return the descriptor of the piece that the next line belongs to."""
        now = time.time()
        if self._descriptor is not None and self._cut is not None and self._cut.is_due(self._began, now, self._size):
            self._end_piece()
        if self._descriptor is None:
            self._descriptor = self._begin_piece(now)
        return self._descriptor

    def _begin_piece(self, now: float) -> int:
        path = self._path if self._cut is None or not self._is_regular else piece_path(self._path, now, self.last)
        flags = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0)
        flags |= os.O_CREAT | os.O_APPEND | os.O_TRUNC if self._is_regular else 0
        descriptor = os.open(path, flags, 0o666)
        self._size, self._began = 0, now
        self.pieces, self.last = self.pieces + 1, path
        self._retention.enforce(self._path, path)
        return descriptor

    def _append(self, descriptor: int, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            if self._is_regular:
                with suppress(OSError):
                    os.ftruncate(descriptor, self._size)
            raise
        self._size += len(line)
        if self._is_regular and self._fsync_s is not None and time.monotonic() - self._synced >= self._fsync_s:
            os.fsync(descriptor)
            self._synced = time.monotonic()

    def _end_piece(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            if self._is_regular and self._fsync_s is not None:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _refusal(self, error: OSError) -> InputError:
        return InputError(
            f"{self._path} cannot be written ({error.strerror or error})",
            do="" if isinstance(error, BrokenPipeError) else write_remedy(error, "choose another place with --json"),
        )


def _check_writable(path: Path) -> None:
    """Raise InputError where no file can be opened; devices and pipes are left to the first line."""
    kind = path_kind(path)
    if kind == "folder":
        raise InputError(f"{path} is a folder", wanted="a file to write, such as boxes.jsonl")
    if kind != "other":
        make_folder(path.parent)
    if kind == "file":
        try:
            path.open("ab").close()
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({error.strerror or error})",
                wanted="a writable file",
                do="Choose another place with --json, or change its permissions.",
            ) from error
