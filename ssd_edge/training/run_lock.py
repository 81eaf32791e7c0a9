"""One process at a time learns in the folder of a run."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ssd_edge.core.errors import InputError
from ssd_edge.core.files import make_folder

LOCK_NAME = ".training"
_HELD = (errno.EACCES, errno.EAGAIN)


class RunInUseError(InputError):
    """Another process learns in the folder of a run."""


@contextmanager
def only_training(folder: Path) -> Iterator[None]:
    """Keep other trainings out of ``folder``, which is made, until the block ends.

    The system gives the lock back however this process ends, and data workers do not inherit it. A file system that
    knows no locks keeps nobody out. A folder that is still empty at the end is removed again.

    Raises:
        RunInUseError: another process learns there.
        InputError: the folder cannot be written.
    """
    make_folder(folder)
    path = folder / LOCK_NAME
    with path.open("a+") as file:
        _take(file.fileno(), path)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()


def _take(file: int, path: Path) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            return
        raise RunInUseError(
            f"another process trains in {path.parent}",
            got=f"process {path.read_text().strip()}",
            wanted="one at a time",
            do="Wait until it ends, or start a run of another --name.",
        ) from error
