"""Where the ``ssd-edge`` process begins: signals are answered politely from the first import on."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_SPINS = "300"  # some 10 microseconds; GNU's OpenMP has 300,000 by default


def main() -> None:
    """Run the command line; Ctrl-C exits 130, SIGTERM 143, both after everything half-written is removed."""
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _leave)
        _spin_briefly()
        from ssd_edge.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.stderr.write("ssd-edge: stopped.\n")
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, _end)


def _spin_briefly() -> None:
    """Let PyTorch's threads fall asleep soon while they wait for one another; they look for this once, on import.

    By default they spin for milliseconds. Where another program has the core of the thread that is waited for, that is
    the time it needs: two trainings on two cores took twenty times as long as one. What the user has set stands.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


def _end(number: int, frame: FrameType | None) -> None:
    """Answer Ctrl-C while the interpreter ends: everything is written, and a traceback would tell nobody anything."""
    os._exit(128 + number)


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind as after an error, so that temporary files go."""
    raise SystemExit(128 + number)
