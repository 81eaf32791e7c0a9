"""``ssd-edge`` with a TensorRT whose build lasts until it is stopped; says ``building`` once it is inside of it.

``python -m tests.engines.held_build RELEASE ARGUMENT...``: a stand-in of the release, or ``rtx`` for the real one.
"""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Any

from ssd_edge.cli.main import main
from ssd_edge.engines.tensorrt import build as trt_build
from ssd_edge.engines.tensorrt import callbacks as trt_progress
from ssd_edge.engines.tensorrt import release as trt_device
from tests.engines.standin_tensorrt import make_tensorrt


def say_so() -> None:
    sys.stdout.write("building\n")
    sys.stdout.flush()


def hold_standin(version: str) -> None:
    """A builder that reports steps to its monitor where the release has one, and is deaf where it has none."""
    trt = make_tensorrt(version)

    def build(self: Any, network: Any, config: Any) -> None:
        monitor = getattr(config, "progress_monitor", None)
        say_so()
        if monitor is None:
            ctypes.CDLL(None).sleep(60)
            raise AssertionError("the process should have ended")
        monitor.phase_start("Building engine", None, 1000)
        for step in range(1000):
            time.sleep(0.05)
            if not monitor.step_complete("Building engine", step):
                self._logger.log(trt.ILogger.ERROR, "Error Code 7: BuildCanceled (Build canceled by user)")
                return
        raise AssertionError("it was not stopped")

    trt.Builder.build_serialized_network = build
    sys.modules["tensorrt"] = trt
    orin = {"name": "Orin", "compute_capability": [8, 7], "integrated": True, "memory": 8 << 30}
    for module in (trt_device, sys.modules["ssd_edge.backends.cuda_driver"]):
        module.describe_gpu = lambda: orin  # type: ignore[attr-defined]


def hold_rtx() -> None:
    """The real TensorRT-RTX: its first phase lasts until the signal has come, and then it is told to stop."""
    make = trt_progress.make_monitor

    def make_held(trt: Any, progress: Any, stop: Any) -> Any:
        monitor = make(trt, progress, stop)

        class Held(type(monitor)):  # type: ignore[misc]
            def phase_start(self, name: str, parent: str | None, steps: int) -> None:
                if parent is None:
                    say_so()
                    assert stop.wait(30)
                super().phase_start(name, parent, steps)

        monitor.__class__ = Held
        return monitor

    trt_build.make_monitor = make_held  # type: ignore[attr-defined]


if __name__ == "__main__":
    release, *arguments = sys.argv[1:]
    hold_rtx() if release == "rtx" else hold_standin(release)
    sys.argv = ["ssd-edge", *arguments]
    main()
