"""Seconds from typing ``ssd-edge --help`` to its answer, whole process, against an empty Python.

    python -m bench.startup [--rounds 9] [--model ENGINE]

With a model: also from typing ``ssd-edge run`` to its first JSON line, and its most memory up to there.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench._figures import report
from bench._options import run
from ssd_edge.benchmarking.startup import Startup, measure_startup, usual_environment
from ssd_edge.core.timing import time_calls

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import typer, rich": ["-c", "import typer, rich"],
    "import ssd_edge": ["-c", "import ssd_edge"],
    "ssd-edge --help": ["-m", "ssd_edge", "--help"],
    "ssd-edge run --help": ["-m", "ssd_edge", "run", "--help"],
}
FIGURES = {"python -c pass": "python", "ssd-edge --help": "help", "ssd-edge run --help": "run-help"}


def first_lines(model: Path, rounds: int) -> list[Startup]:
    """What ``run`` takes to its first line, on drawn images; the first time, which reads the disk, is left out."""
    from ssd_edge.workflows.synthesize import synthesize  # here: what is measured are other processes

    with tempfile.TemporaryDirectory() as folder:
        synthesize(Path(folder) / "drawn", train=4, val=0, test=0, size=(640, 480))
        found = [measure_startup(model, Path(folder) / "drawn" / "JPEGImages") for _ in range(rounds + 1)]
    if None in found:
        raise SystemExit(f"ssd-edge run --model {model} gave no line")
    return [entry for entry in found[1:] if entry is not None]


def main(*, rounds: int = 9, model: Path | None = None) -> None:
    start = partial(subprocess.run, stdout=subprocess.DEVNULL, check=True, env=usual_environment())
    calls = {name: partial(start, [sys.executable, *arguments]) for name, arguments in COMMANDS.items()}
    for name, timing in time_calls(calls, rounds=rounds).items():  # the first round, not timed, reads the disk
        spread = timing.spread
        if name in FIGURES:
            report(f"startup.{FIGURES[name]}.s", spread.median / 1000)
        print(f"{name:<22} median {spread.median / 1000:.3f} s  max {spread.maximum / 1000:.3f} s")
    if model is not None:
        found = first_lines(model, rounds)
        seconds, memory = [entry.seconds for entry in found], [entry.memory_mib or 0.0 for entry in found]
        print(
            f"{'ssd-edge run':<22} median {statistics.median(seconds):.3f} s  least {min(seconds):.3f} s to the first "
            f"line, {max(memory):.0f} MiB"
        )


if __name__ == "__main__":
    run(main)
