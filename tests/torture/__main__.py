"""``python -m tests.torture signals --count 400``, ``… disks --count 50`` (as root); exit code 1 for a fault."""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Run one of the tortures from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("what", choices=("signals", "disks"))
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default="", help="with commas between; by default all")
    chosen = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs, and by their children
    names = tuple(filter(None, chosen.commands.split(",")))
    with tempfile.TemporaryDirectory(prefix="ssd-edge-torture-") as folder:
        torture = _signals if chosen.what == "signals" else _disks
        faults = torture(Path(folder), chosen.count, chosen.seed, names)
    for fault in faults:
        _tell(f"FAULT {fault}")
    _tell(f"{'FAILED' if faults else 'passed'}: {chosen.count} {chosen.what}, seed {chosen.seed}, {len(faults)} faults")
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


def _disks(base: Path, count: int, seed: int, names: tuple[str, ...]) -> list[str]:
    from tests.torture.disks import torture

    found = torture(base, count, seed, _tell, names)
    for name in sorted(found.refused.keys() | found.finished.keys()):
        _tell(f"{name:<10} {found.refused.get(name, 0):>4} refused, {found.finished.get(name, 0)} had room enough")
    return found.faults


if __name__ == "__main__":
    sys.exit(main())
