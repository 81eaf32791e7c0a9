"""Fuzz for as long as one likes: ``python -m tests.fuzz --minutes 30``; exit code 1 where something did not hold."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.harness import Report, all_kinds, fuzz


def main() -> int:
    """Run the harness from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default="", help="names with commas between, or how they begin; by default all")
    parser.add_argument("--only", type=int, help="just the mutant of this number")
    parser.add_argument("--most", type=int, help="mutants of each kind")
    parser.add_argument("--cover", action="store_true", help="count the branches that are reached; slower")
    parser.add_argument("--keep", type=Path, help="folder that mutants with faults are copied to")
    chosen = parser.parse_args()
    wanted = tuple(chosen.kinds.split(","))
    kinds = [kind for kind in all_kinds() if kind.name.startswith(wanted)]
    shown = 0

    def tell(report: Report) -> None:
        nonlocal shown
        for failure in report.failures[shown:]:
            sys.stdout.write(f"{failure}\n")
            sys.stdout.flush()
        shown = len(report.failures)

    with tempfile.TemporaryDirectory(prefix="ssd-edge-fuzz-") as base:
        report = fuzz(
            kinds, Path(base), seed=chosen.seed, seconds=60 * chosen.minutes, only=chosen.only, most=chosen.most,
            cover=chosen.cover, keep=chosen.keep, tell=tell,
        )  # fmt: skip
    for name, count in report.mutants.items():
        sys.stdout.write(f"{name:<24} {count:>6} mutants, {report.refused[name]} refused\n")
    sys.stdout.write(
        f"{'FAILED' if report.failures else 'passed'}: "
        f"{sum(report.mutants.values())} mutants of {len(report.mutants)} kinds, {len(report.failures)} with faults; "
        f"at most {report.slowest_s:.1f} s and {report.largest_bytes / 1e6:.0f} MB over the sound files; "
        f"{len(report.reached)} branches reached\n"
    )
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
