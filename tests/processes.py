"""Processes that a test starts and looks at while they run: none outlives its test, whatever happens in there."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

LIMIT_S = 150.0


@contextmanager
def running(command: Sequence[str], *, limit_s: float = LIMIT_S, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a process with text pipes; after the block, or after ``limit_s``, it and all that it started are killed.

    ``options`` are those of ``subprocess.Popen``.
    """
    with subprocess.Popen(command, text=True, start_new_session=True, **options) as process:
        watchdog = threading.Timer(limit_s, _kill, [process])
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    apart = descendants(process.pid) if process.poll() is None else []  # torchrun's have sessions of their own
    for number in apart:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def descendants(ancestor: int) -> list[int]:
    """Return the children of a process, theirs, and so on; none where the system has no /proc."""
    found = [ancestor]
    children = _children()
    for number in found:
        found += children.get(number, [])
    return found[1:]


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    return children
