"""``python -m tests.torture signals --count 400``; exit code 1 for a fault."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Run one of the tortures from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("what", choices=("signals",))
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default="", help="with commas between; by default all")
    chosen = parser.parse_args()
    names = tuple(filter(None, chosen.commands.split(",")))
    with tempfile.TemporaryDirectory(prefix="ssd-edge-torture-") as folder:
        faults = _signals(Path(folder), chosen.count, chosen.seed, names)
    for fault in faults:
        _tell(f"FAULT {fault}")
    _tell(f"{len(faults)} faults")
    return 1 if faults else 0


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _signals(base: Path, count: int, seed: int, names: tuple[str, ...]) -> list[str]:
    from tests.torture.signals import torture

    found = torture(base, count, seed, _tell, names)
    for name, delays in found.delays.items():
        _tell(
            f"{name:<10} {len(delays):>4} signals heeded, median {statistics.median(delays):.2f} s, "
            f"worst {max(delays):.2f} s, {sum(delay > 3 for delay in delays)} over 3 s"
        )
    _tell(f"{found.early} before Python had begun, {found.late} after the end")
    return found.faults


if __name__ == "__main__":
    sys.exit(main())
