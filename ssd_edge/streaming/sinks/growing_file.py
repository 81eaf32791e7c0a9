"""The file behind a video that grows for days: what the disk refuses is known at once, and what it took is kept."""

from __future__ import annotations

import os
import time
from pathlib import Path


class GrowingFile:
    """A binary file as an encoder writes it: forward, and back to fix its head.

    After the first failure nothing is written any more, and the encoder gets no error: what it writes
    while it closes would spoil the part that plays.

    Args:
        path: what was there is replaced.
        fsync_s: wait until the disk has what was written, at most this often in seconds; None for never.

    Attributes:
        size: bytes of the file.
        failed: whether the disk has refused something.

    Raises:
        OSError: the file cannot be opened; and, once, what the disk refused.
    """

    def __init__(self, path: Path, fsync_s: float | None = None) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._descriptor: int | None = os.open(path, flags, 0o666)
        self._fsync_s, self._synced = fsync_s, time.monotonic()
        self._place = 0
        self.size, self.failed = 0, False

    def write(self, data: bytes) -> int:
        """Write all of it, and return its length."""
        if data and not self.failed and self._descriptor is not None:  # nothing, past the end, makes no file longer
            try:
                self._write(self._descriptor, data)
            except OSError:
                self.failed = True
                raise
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place, as files do."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def close(self) -> None:
        """Close the file; with ``fsync_s`` the disk has it then."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            if self._fsync_s is not None and not self.failed:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _write(self, descriptor: int, data: bytes) -> None:
        os.lseek(descriptor, self._place, os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        self._place += len(data)
        self.size = max(self.size, self._place)
        if self._fsync_s is not None and time.monotonic() - self._synced >= self._fsync_s:
            os.fsync(descriptor)
            self._synced = time.monotonic()
