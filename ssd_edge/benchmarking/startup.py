"""Times what a user waits for: ``ssd-edge run`` from the start of the process to its first line of JSON."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Startup:
    """From exec to the first line.

    Attributes:
        seconds: of the clock.
        memory_mib: the most resident memory up to there; None where the system does not say.
    """

    seconds: float
    memory_mib: float | None


def measure_startup(model: Path, images: Path) -> Startup | None:
    """Return what ``run`` takes on a folder of images; None where it gives no line.

    Args:
        model: an engine or ONNX.
        images: the folder; several images, so that the process is still there when its memory is asked for.
    """
    command = [sys.executable, "-m", "ssd_edge", "--quiet", "run", images, "--model", model, "--json", "-"]
    began = time.monotonic()
    with subprocess.Popen(  # noqa: S603 - this very Python, no shell
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=usual_environment(),
    ) as process:
        line = process.stdout.readline() if process.stdout is not None else b""
        seconds = time.monotonic() - began
        memory = _peak_mib(process.pid)
        try:
            process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
    return Startup(seconds, memory) if line else None


def usual_environment() -> dict[str, str]:
    """Return the environment for a process whose start is timed: Python keeps what it compiles, as on users' machines.

    Some build machines forbid it. There every start would compile a hundred modules, which no user waits for.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def typical(startups: Sequence[Startup]) -> Startup | None:
    """Return the median of the seconds, and the most memory of any; None of none."""
    memory = [one.memory_mib for one in startups if one.memory_mib is not None]
    seconds = statistics.median(one.seconds for one in startups) if startups else None
    return None if seconds is None else Startup(seconds, max(memory, default=None))


def _peak_mib(process: int) -> float | None:
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = [line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) / 1024 if found else None
