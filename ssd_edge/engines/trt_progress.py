"""TensorRT's IProgressMonitor (since 9.0) as our progress reports, and as the way to stop a build."""

from __future__ import annotations

import threading
from typing import Any

from ssd_edge.core.progress import Progress


def make_monitor(trt: Any, progress: Progress, stop: threading.Event) -> Any:
    """Return a monitor that reports the steps of the outermost phase, and ends the build once ``stop`` is set.

    The builder calls it from its own threads.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base is known at run time only
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._phases: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:  # noqa: ARG002
            self._phases[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name == next(iter(self._phases), None):
                progress(step + 1, self._phases[phase_name], phase_name)
            return not stop.is_set()

        def phase_finish(self, phase_name: str) -> None:
            self._phases.pop(phase_name, None)

    return Monitor()
