"""Seconds from typing ``ssd-edge --help`` to its answer, whole process, against an empty Python."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 9


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> None:
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "ssd-edge --help": [sys.executable, "-m", "ssd_edge", "--help"],
        "ssd-edge run --help": [sys.executable, "-m", "ssd_edge", "run", "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(ROUNDS + 1):
        for name, command in commands.items():
            elapsed = seconds(command)
            if number:  # the first round reads the disk
                times[name].append(elapsed)
    for name, values in times.items():
        print(f"{name:<22} median {statistics.median(values):.3f} s  max {max(values):.3f} s")


if __name__ == "__main__":
    main()
