"""TensorRT's IProgressMonitor (since 9.0) as our progress reports, and as the way to stop a build."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from ssd_edge.core.errors import InputError
from ssd_edge.core.progress import Progress


def refuse_without_calibrators(trt: Any, *, for_dla: bool) -> None:
    """Raise InputError where a release has no calibrators any more."""
    if not hasattr(trt, "IInt8EntropyCalibrator2"):
        raise InputError(
            f"TensorRT {trt.__version__} does not support calibration caches, which "
            f"{'INT8 on a DLA' if for_dla else '--implicit'} needs",
            do="Use FP16 on the DLA: ssd-edge build --fp16 --dla 0" if for_dla else "Leave out --implicit.",
        )


def make_calibrator(trt: Any, cache: bytes, *, for_dla: bool) -> Any:
    """Return an ``IInt8EntropyCalibrator2`` that answers with ``cache``.

    Raises:
        InputError: this release has no calibrators any more.
    """
    refuse_without_calibrators(trt, for_dla=for_dla)

    class Calibrator(trt.IInt8EntropyCalibrator2):  # type: ignore[misc]  # the base is known at run time only
        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)  # TensorRT insists on this very call

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: list[str]) -> None:  # noqa: ARG002 - TensorRT's signature
            return None  # were the cache refused, there would be no images to fall back to

        def read_calibration_cache(self) -> bytes:
            return cache

        def write_calibration_cache(self, data: Any) -> None:
            """Keep nothing: the table is where the cache came from."""

    return Calibrator()


_WHOLE = 100


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


def make_monitor(trt: Any, progress: Progress, stop: threading.Event) -> Any:
    """Return a monitor that reports hundredths of the build, and ends it once ``stop`` is set.

    Most of a build is within one step of the outermost phase: so the phases inside of a step count for their share of
    it. The builder calls from its own threads.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base is known at run time only
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._phases: dict[str, _Phase] = {}
            self._shown = 0
            self._lock = threading.Lock()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._lock:
                self._phases[phase_name] = _Phase(parent_phase, max(1, num_steps))

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                if phase_name in self._phases:
                    self._phases[phase_name].done = step + 1
                self._report(phase_name)
            return not stop.is_set()

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                phase = self._phases.pop(phase_name, None)
                if phase is not None and phase.parent is None and not stop.is_set():
                    progress(_WHOLE, _WHOLE, phase_name)

        def _report(self, phase_name: str) -> None:
            """Show what is done; never less than before, for the phases inside of a step come one after the other."""
            outermost = next((name for name, phase in self._phases.items() if phase.parent is None), None)
            if outermost is not None:
                self._shown = max(self._shown, int(_WHOLE * _fraction(self._phases, outermost)))
                progress(self._shown, _WHOLE, phase_name)

    return Monitor()


def _fraction(phases: dict[str, _Phase], name: str) -> float:
    """Return how much of a phase is done, with what is done of the step that it is in."""
    phase = phases[name]
    within = [_fraction(phases, other) for other, inner in phases.items() if inner.parent == name]
    return min(1.0, (phase.done + max(within, default=0.0)) / phase.steps)
