"""Seconds from typing ``ssd-edge --help`` to its answer, whole process, against an empty Python."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from bench._options import run
from ssd_edge.core.timing import time_calls

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import typer, rich": ["-c", "import typer, rich"],
    "import ssd_edge": ["-c", "import ssd_edge"],
    "ssd-edge --help": ["-m", "ssd_edge", "--help"],
    "ssd-edge run --help": ["-m", "ssd_edge", "run", "--help"],
}


def main(*, rounds: int = 9) -> None:
    start = partial(subprocess.run, stdout=subprocess.DEVNULL, check=True)
    calls = {name: partial(start, [sys.executable, *arguments]) for name, arguments in COMMANDS.items()}
    for name, timing in time_calls(calls, rounds=rounds).items():  # the first round, not timed, reads the disk
        spread = timing.spread
        print(f"{name:<22} median {spread.median / 1000:.3f} s  max {spread.maximum / 1000:.3f} s")


if __name__ == "__main__":
    run(main)
