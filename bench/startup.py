"""Seconds from typing ``ssd-edge --help`` to its answer, whole process, against an empty Python.

    python -m bench.startup [--rounds 9] [--model ENGINE]

With a model: also from typing ``ssd-edge run`` to the first JSON line of a drawn image, and the largest memory of it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench._figures import report
from bench._options import run
from ssd_edge.core.timing import time_calls

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import typer, rich": ["-c", "import typer, rich"],
    "import ssd_edge": ["-c", "import ssd_edge"],
    "ssd-edge --help": ["-m", "ssd_edge", "--help"],
    "ssd-edge run --help": ["-m", "ssd_edge", "run", "--help"],
}
FIGURES = {"python -c pass": "python", "ssd-edge --help": "help", "ssd-edge run --help": "run-help"}


def first_line(model: Path, image: Path) -> tuple[float, float]:
    """Seconds to the first JSON line, and the largest memory of the process in MB."""
    command = [sys.executable, "-m", "ssd_edge", "run", str(image), "--model", str(model), "--json", "-"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        taken = time.perf_counter() - began
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if not line.startswith(b"{") or process.returncode:
        raise SystemExit(f"{' '.join(command)} gave no detections")
    return taken, usage.ru_maxrss / 1024


def write_image(path: Path) -> None:
    from ssd_edge.workflows.synthesize import synthesize  # here: what is measured are other processes

    synthesize(path.parent / "drawn", train=1, val=0, test=0, size=(640, 480))
    next((path.parent / "drawn" / "JPEGImages").iterdir()).rename(path)


def main(*, rounds: int = 9, model: Path | None = None) -> None:
    start = partial(subprocess.run, stdout=subprocess.DEVNULL, check=True)
    calls = {name: partial(start, [sys.executable, *arguments]) for name, arguments in COMMANDS.items()}
    for name, timing in time_calls(calls, rounds=rounds).items():  # the first round, not timed, reads the disk
        spread = timing.spread
        if name in FIGURES:
            report(f"startup.{FIGURES[name]}.s", spread.median / 1000)
        print(f"{name:<22} median {spread.median / 1000:.3f} s  max {spread.maximum / 1000:.3f} s")
    if model is not None:
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / "image.jpg"
            write_image(image)
            found = [first_line(model, image) for _ in range(rounds + 1)][1:]
        seconds, memory = zip(*found, strict=True)
        print(
            f"{'ssd-edge run':<22} median {statistics.median(seconds):.3f} s  least {min(seconds):.3f} s to the first "
            f"line, {max(memory):.0f} MB"
        )


if __name__ == "__main__":
    run(main)
