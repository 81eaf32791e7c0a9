"""Run benchmarks in turn, each in its own process.

    python -m bench [NAME ...] [--list]

Without names: all that need no data of yours. ``--list`` says what there is.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from bench._options import run

FOLDER = Path(__file__).parent
NEEDS_INPUT = {"bccd_training", "camera", "cuda_layer", "candidates", "int8_accuracy", "train_vgg"}
PART_OF_ANOTHER = {"torchvision_training"}


def known() -> list[str]:
    """The names of all benchmarks."""
    return sorted({path.stem for path in FOLDER.glob("[a-z]*.py")} - PART_OF_ANOTHER)


def about(name: str) -> str:
    """The first sentence of a benchmark."""
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def main(names: tuple[str, ...] = (), *, list: bool = False) -> int:
    if list:
        for name in known():
            print(f"{name:16}{' needs data: ' if name in NEEDS_INPUT else ' '}{about(name)}")
        return 0
    unknown = set(names) - set(known())
    if unknown:
        print(f"there is no {', '.join(sorted(unknown))}: wanted some of {', '.join(known())}")
        return 2
    failed = []
    for name in names or [name for name in known() if name not in NEEDS_INPUT]:
        print(f"\n== bench.{name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode:
            failed.append(name)
    print(f"\nfailed: {', '.join(failed)}" if failed else "")
    return 1 if failed else 0


run(main)
