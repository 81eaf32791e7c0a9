"""The emulated GPU that a clone has for its tests: where there is no GPU, the TensorRT runtime is rehearsed on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ssd_edge.core.errors import InputError

_CLONE = Path(__file__).parents[2]
_EMULATOR = _CLONE / "tests" / "emulator" / "__main__.py"


def run_emulated(release: str, arguments: Sequence[str]) -> int:
    """Run ``ssd-edge`` with some arguments in a process that sees the emulated GPU; return its exit code.

    Args:
        release: of TensorRT, for which there is a stand-in: ``8.5``, ``8.6``, ``10.3``, ``10.16``, ``11.4`` or ``rtx``.
        arguments: of ``ssd-edge``.

    Raises:
        InputError: this is no clone.
    """
    if not _EMULATOR.is_file():
        raise InputError(
            "the emulated GPU does not come with the installed package",
            wanted="a clone of ssd-edge, after: make setup",
            do="In the clone: .venv/bin/ssd-edge doctor --selftest --emulated 10.3",
        )
    path = os.pathsep.join([str(_CLONE), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, str(_EMULATOR), release, *arguments]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode


def rehearsal_hint() -> str:
    """Return what a clone can do where there is no GPU; nothing elsewhere."""
    return "; to rehearse TensorRT's side: --emulated 10.3" if _EMULATOR.is_file() else ""
