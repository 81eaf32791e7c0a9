"""Files and folders that are being written: locked by who writes them, and swept once nobody does.

A process that is killed leaves what it was writing. The lock ends with the process; the name alone says nothing:
numbers of processes come again, and several machines may share a folder.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ssd_edge.core.log import counted, log

MARK = ".ssd-edge"
"""In the names of such files, so that none of another program is taken for one."""

_PARTIAL = re.compile(rf"\.(?P<name>.+)\.\d{{1,7}}{re.escape(MARK)}\.(?P<kind>partial|old)(?:\.[^.]*)?", re.DOTALL)
_TRIES = 20
_UNWRITTEN = 0  # time of change
_YOUNG_S = 60  # a scratch folder may be younger than its lock
_swept: set[Path] = set()


@contextmanager
def held(path: Path, *, folder: bool = False) -> Iterator[None]:
    """Hold the lock of a file, or of a folder, inside the block; it is made where it is not there.

    Where the system has no locks, as on some network file systems, there is none, and nothing there is swept.

    Raises:
        OSError: it cannot be made.
    """
    is_new = not path.exists()
    descriptor = _locked(path, folder=folder)
    if is_new and not folder:
        os.utime(descriptor, ns=(_UNWRITTEN, _UNWRITTEN))
    try:
        yield
    finally:
        os.close(descriptor)


def check_written(path: Path) -> None:
    """Raise FileNotFoundError where nobody wrote to a file that :func:`held` made; an empty text is written, too."""
    if path.stat().st_mtime_ns == _UNWRITTEN:
        raise FileNotFoundError(errno.ENOENT, "no bytes were written to the new file", str(path))


def _locked(path: Path, *, folder: bool) -> int:
    for _ in range(_TRIES):
        descriptor = _opened(path, folder=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # of who sweeps at this very moment, and takes the file away
            os.close(descriptor)
            time.sleep(0.001)
            continue
        except OSError:
            return descriptor
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)
    return _opened(path, folder=folder)


def _opened(path: Path, *, folder: bool) -> int:
    if folder:
        path.mkdir(exist_ok=True)
    return os.open(path, (os.O_RDONLY if folder else os.O_RDWR | os.O_CREAT) | os.O_CLOEXEC, 0o666)


def sweep_once(folder: Path) -> None:
    """Remove what killed processes left in a folder, the first time that this process writes there; it is logged."""
    place = folder.absolute()
    if place in _swept:
        return
    _swept.add(place)
    found = [path for path in _listed(place) if _PARTIAL.fullmatch(path.name)]
    swept = [path for path in found if _is_abandoned(path) and _clear(path)]
    if swept:
        log.info(
            f"{folder}: removed {counted(len(swept), 'unfinished file')} of a run that was killed: {swept[0].name}"
        )


def sweep_scratch(folder: Path, prefix: str) -> None:
    """Remove the scratch folders of killed processes: those of this user, of such a name, that nobody holds."""
    is_drawn = re.compile(re.escape(prefix) + r"[a-z0-9_]{8}")  # as tempfile does, and nobody else
    for path in _listed(folder):
        with suppress(OSError):
            about = path.lstat()
            is_ours = is_drawn.fullmatch(path.name) and about.st_uid == os.getuid() and path.is_dir()
            if is_ours and time.time() - about.st_mtime > _YOUNG_S and not path.is_symlink() and _is_abandoned(path):
                shutil.rmtree(path, ignore_errors=True)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_abandoned(path: Path) -> bool:
    """Whether nobody holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _clear(path: Path) -> bool:
    """Remove what was being written; what it was to replace goes back where nothing took its place."""
    match = _PARTIAL.fullmatch(path.name)
    try:
        if match is not None and match["kind"] == "old" and not os.path.lexists(path.with_name(match["name"])):
            path.rename(path.with_name(match["name"]))
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:
        return False
    return True
