"""Whether the bench itself can be believed: one engine twice, a planted slow-down, two runs, a busy neighbor.

    python -m bench.truth [PRESET] [--seconds S] [--rounds R]

Ends with 1 where the same engine twice is not 1.00 ± 0.02, a slow-down of 5 % is not found, two runs do not agree
within their intervals, or a process that works beside a run is not noticed. All but the last need idle cores.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

from bench._figures import report
from bench._options import run
from ssd_edge.backends.cpu import physical_cores
from ssd_edge.benchmarking.process import Worker
from ssd_edge.benchmarking.task import Task
from ssd_edge.core.choices import Precision
from ssd_edge.core.intervals import Interval, median_interval, paired_ratio, verdict
from ssd_edge.core.progress import no_progress
from ssd_edge.workflows.benchmark.config import BenchConfig
from ssd_edge.workflows.benchmark.entries import Entry
from ssd_edge.workflows.benchmark.prepare import find_images, of_preset
from ssd_edge.workflows.benchmark.run import Run
from ssd_edge.workflows.benchmark.worker import MODULE

PRESET = "ssdlite300-mobilenet-v2"
SLOWER = 0.05
WORK = "while True: pass"


def start(task: Task) -> Worker:
    """Start the worker that the task asks for: the product's, or the one with the planted slow-down."""
    return Worker(task, "bench._slow_worker" if "slower" in task.settings else MODULE)


def measured(entries: list[Entry], config: BenchConfig) -> Run:
    found = Run(config, list(entries), physical_cores(), no_progress, start=start)
    found.measure()
    return found


def ratio(found: Run, name: str, reference: str) -> Interval:
    mine, theirs = found.measured[name].blocks, found.measured[reference].blocks
    return paired_ratio(mine.medians, theirs.medians)


def shown(text: str, interval: Interval) -> str:
    return f"{text:28} {interval.median:.4f} ({interval.low:.4f} to {interval.high:.4f})"


def main(preset: str = PRESET, *, seconds: float = 20.0, rounds: int = 31) -> int:
    config = BenchConfig(quick=True, seconds=seconds, rounds=rounds, precisions=(Precision.FP32,))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = tuple(map(str, find_images(None, folder / "images")[0]))
        (engine,) = of_preset(preset, config, images, physical_cores(), folder)
        task = dataclasses.replace(engine.task, settings={"slower": str(SLOWER)})
        twin, slow = (dataclasses.replace(engine, name=name) for name in ("twin", "slow"))
        entries = [dataclasses.replace(engine, name="engine"), twin, dataclasses.replace(slow, task=task)]
        first, second = measured(entries, config), measured(entries, config)
        with subprocess.Popen([sys.executable, "-c", WORK]) as neighbor:
            try:
                beside = measured(entries[:1], dataclasses.replace(config, launches=1, seconds=3.0))
            finally:
                neighbor.kill()
    twins, slows = [ratio(found, "twin", "engine") for found in (first, second)], ratio(first, "slow", "engine")
    agree = [one.agrees_with(other) for one, other in both(first, second)]
    for number, twin_ratio in enumerate(twins, start=1):
        print(shown(f"same engine twice, run {number}", twin_ratio))
        report(f"truth.twin.{number}", twin_ratio.median)
    print(shown(f"planted {SLOWER:.0%}", slows), verdict(slows))
    report("truth.planted", slows.median)
    print(f"two runs: {sum(agree)} of {len(agree)} pairs of intervals agree")
    print(f"alone: {first.load}\nbeside a neighbor: {beside.load}")
    is_true = (
        all(abs(entry.median - 1) <= 0.02 for entry in twins),
        verdict(slows) == "slower",
        all(agree),
        beside.load is not None and beside.load.is_disturbed,
    )
    return 0 if all(is_true) else 1


def both(first: Run, second: Run) -> list[tuple[Interval, Interval]]:
    """Return what the two runs say of the same: latencies and ratios."""
    names = list(first.measured)
    latencies = [
        (median_interval(first.measured[name].blocks.medians), median_interval(second.measured[name].blocks.medians))
        for name in names
    ]
    ratios = [(ratio(first, name, names[0]), ratio(second, name, names[0])) for name in names[1:]]
    return latencies + ratios


if __name__ == "__main__":
    run(main)
