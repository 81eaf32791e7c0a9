"""Where the ``ssd-edge`` process begins: signals are answered politely from the first import on."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType

_PATIENCE_S = 3.0  # how long what is being closed, files and the GPU, is not torn by the next signal
_unwinding_since: list[float] = []
_SPINS = "300"  # some 10 microseconds; GNU's OpenMP has 300,000 by default


def main() -> None:
    """Run the command line; Ctrl-C exits 130, SIGTERM 143, both after everything half-written is removed."""
    try:
        _run()
    except SystemExit as leaving:
        from ssd_edge.core.abandoned import end_process

        end_process(leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None))
        raise


def _run() -> None:
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _leave)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupt)
        _spin_briefly()
        from ssd_edge.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.stderr.write("ssd-edge: stopped.\n")
        sys.exit(130)
    finally:
        if signal.getsignal(signal.SIGINT) is _interrupt:
            signal.signal(signal.SIGINT, _end)


def _spin_briefly() -> None:
    """Let PyTorch's threads fall asleep soon while they wait for one another; they look for this once, on import.

    By default they spin for milliseconds. Where another program has the core of the thread that is waited for, that is
    the time it needs: two trainings on two cores took twenty times as long as one. What the user has set stands.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind as after an error, so that temporary files go."""
    if _is_first():
        raise SystemExit(128 + number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Unwind; a key that is hit several times does so once."""
    if _is_first():
        raise KeyboardInterrupt


def _end(number: int, frame: FrameType | None) -> None:
    """Leave at once: all is closed, and what is left is Python's own end, where a traceback would tell nobody anything."""
    if _is_first():
        os._exit(128 + number)


def _is_first() -> bool:
    """Tell whether nothing is being unwound; what takes longer than patience lasts may be interrupted again."""
    now = time.monotonic()
    if _unwinding_since and now - _unwinding_since[-1] < _PATIENCE_S:
        return False
    _unwinding_since.append(now)
    return True
