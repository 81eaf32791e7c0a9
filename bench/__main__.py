"""Run benchmarks in turn, each in its own process, and say which figures of the documents have moved.

    python -m bench [NAME ...] [--list]

Without names: all that need no data of yours. ``--list`` says what there is. What the README and docs quote is in
``figures.toml``, with the command that gives it.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from bench._figures import changes, read_figures, reported
from bench._options import run
from ssd_edge.benchmarking.load import LoadMonitor
from ssd_edge.benchmarking.machine import read_machine

FOLDER = Path(__file__).parent
NEEDS_INPUT = {
    "bccd_training", "camera", "cuda_layer", "candidates", "int8_accuracy", "latency", "nms_rounds",
    "norm_statistics", "packages", "train_vgg", "training_on_gpu",
}  # fmt: skip
PART_OF_ANOTHER = {"torchvision_training"}


def known() -> list[str]:
    """The names of all benchmarks."""
    return sorted({path.stem for path in FOLDER.glob("[a-z]*.py")} - PART_OF_ANOTHER)


def about(name: str) -> str:
    """The first sentence of a benchmark."""
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def measure(name: str) -> tuple[int, str]:
    """Run a benchmark, show what it prints, and return its exit code and its output."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", f"bench.{name}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            if not line.startswith("figure "):
                print(line, end="", flush=True)
    return process.returncode, "".join(lines)


def show_changes(found: dict[str, float]) -> None:
    """Print each figure that documents quote and that was measured again."""
    machine = read_machine()
    print(f"\n== figures of the documents, here on {machine.processor}, {machine.cores} cores ({machine.features})")
    for figure, value, now in changes(read_figures(), found):
        moved = "MOVED" if value.has_moved(now) else "holds"
        print(f"{moved}  {value.name:55} quoted {value.quoted:<8g} now {now:<8.4g} {figure.document}: {figure.machine}")
    print("\nnot compared here:")
    for figure in read_figures():
        if figure.command and not any(value.name in found for value in figure.values):
            why = f"needs {figure.needs}" if figure.needs else "its script did not run, or reports no figures"
            print(f"  {figure.document}: {figure.text[:60]!r}: {figure.command} ({why})")


def main(names: tuple[str, ...] = (), *, list: bool = False) -> int:
    if list:
        for name in known():
            print(f"{name:16}{' needs data: ' if name in NEEDS_INPUT else ' '}{about(name)}")
        return 0
    unknown = set(names) - set(known())
    if unknown:
        print(f"there is no {', '.join(sorted(unknown))}: wanted some of {', '.join(known())}")
        return 2
    failed, found = [], {}
    for name in names or [name for name in known() if name not in NEEDS_INPUT]:
        print(f"\n== bench.{name}", flush=True)
        monitor = LoadMonitor()
        code, output = measure(name)
        load = monitor.report()
        if load.is_disturbed:
            print(f"NOT ALONE: {load}")
        found |= reported(output)
        if code:
            failed.append(name)
    show_changes(found)
    print(f"\nfailed: {', '.join(failed)}" if failed else "")
    return 1 if failed else 0


if __name__ == "__main__":
    run(main)
