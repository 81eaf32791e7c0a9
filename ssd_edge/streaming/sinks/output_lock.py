"""One writer a file: a second run that is given the same output is refused before it destroys what the first keeps."""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from ssd_edge.core.errors import InputError


class OutputLock:
    """Held from its making until :meth:`release`; the system gives it back however the process ends.

    The lock is a hidden file beside the output (``.boxes.jsonl.lock``), since the output itself may be renamed or cut
    into pieces while it is written.

    Args:
        path: of the output; its folder exists and can be written.

    Raises:
        InputError: another run, or another output of this one, writes there.
    """

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(_beside(path), thread_local=False)
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise InputError(
                f"{path} is being written by another run",
                wanted="only one run that writes a file",
                do="Choose another file, or stop the other run.",
            ) from error
        except OSError as error:
            raise InputError(f"{path} cannot be locked ({error.strerror or error})") from error

    def release(self) -> None:
        """Let others write; the second call does nothing."""
        if self._lock.is_locked:
            Path(self._lock.lock_file).unlink(missing_ok=True)  # filelock sees a lock whose file has gone
            self._lock.release()


def _beside(path: Path) -> Path:
    real = Path(os.path.realpath(path))  # two links to one file are one output
    return real.with_name(f".{real.name[-200:]}.lock")
