"""Where the ``ssd-edge`` process begins: signals are answered politely from the first import on."""

from __future__ import annotations

import signal
import sys
from types import FrameType


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
        from ssd_edge.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.stderr.write("ssd-edge: stopped.\n")
        sys.exit(130)


def _leave(number: int, frame: FrameType | None) -> None:
    """Unwind as after an error, so that temporary files go."""
    raise SystemExit(128 + number)
