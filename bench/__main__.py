"""Run every benchmark of this folder in turn, each in its own process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# They take paths, or are a part of another.
NEEDS_INPUT = {"bccd_training", "candidates", "int8_accuracy", "torchvision_training", "train_vgg"}


def main() -> int:
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if path.stem not in NEEDS_INPUT)
    failed = []
    for name in names:
        print(f"\n== bench.{name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode:
            failed.append(name)
    print(f"\nfailed: {', '.join(failed)}" if failed else "")
    return 1 if failed else 0


sys.exit(main())
