"""A folder for files that nobody keeps."""

from __future__ import annotations

import errno
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from ssd_edge.core.errors import InputError, write_remedy
from ssd_edge.core.partials import held, sweep_scratch

_PREFIX = "ssd-edge-scratch-"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder for files that nobody keeps; it is gone afterwards, and those of killed processes with it.

    Raises:
        InputError: it cannot be made, or there is no space in it.
    """
    try:
        _sweep_once(Path(tempfile.gettempdir()))
        made = tempfile.TemporaryDirectory(prefix=_PREFIX)
    except OSError as error:
        raise _no_scratch(error) from error
    with made as folder, held(Path(folder), folder=True):
        try:
            yield Path(folder)
        except OSError as error:
            if error.errno not in _FULL or _names_another(error, Path(folder)):
                raise  # a broken pipe, say, or another full place, is not the folder's fault
            raise _no_scratch(error) from error


@cache
def _sweep_once(place: Path) -> None:
    sweep_scratch(place, _PREFIX)


@contextmanager
def sockets_in_scratch() -> Iterator[None]:
    """Let ``multiprocessing`` keep its sockets (``pymp-…``) in such a folder inside the block.

    A process that is killed leaves them behind in the folder for temporary files, and their names do not say of whom.
    """
    own = getattr(multiprocessing.current_process(), "_config", None)
    if own is None or "tempdir" in own:  # another Python, or there is one already
        yield
        return
    with scratch_folder() as folder:
        own["tempdir"] = str(folder)
        try:
            yield
        finally:
            own.pop("tempdir", None)


def _names_another(error: OSError, folder: Path) -> bool:
    return error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(folder)


def _no_scratch(error: OSError) -> InputError:
    place = tempfile.tempdir or "the temporary directory"  # gettempdir() looks once more, and raises again
    return InputError(
        f"{place if isinstance(place, str) else os.fsdecode(place)} cannot be written ({error.strerror or error})",
        wanted="space for temporary files",
        do=write_remedy(error, "set TMPDIR to another folder"),
    )
