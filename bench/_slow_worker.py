"""The worker of ``ssd-edge bench`` with a planted slow-down: each detection takes a share longer, by busy waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ssd_edge.benchmarking.task import Runner, Task
from ssd_edge.workflows.benchmark import worker


def open_slow(task: Task) -> Runner:
    runner = worker.OurRunner(task)
    runner.detect = slower(runner.detect, float(task.settings["slower"]))
    return runner


def slower(call: Callable[..., Any], share: float) -> Callable[..., Any]:
    """Return a call that takes a share longer than ``call`` did this time."""

    def wait_too(*arguments: Any) -> Any:
        began = time.perf_counter()
        found = call(*arguments)
        ends = began + (1 + share) * (time.perf_counter() - began)
        while time.perf_counter() < ends:
            pass
        return found

    return wait_too


if __name__ == "__main__":
    worker.open_runner = open_slow
    worker.main()
