"""What TensorRT says while it loads and runs an engine: its errors are kept for ours."""

from __future__ import annotations

from typing import Any

_KEPT = 20


def make_runtime_logger(trt: Any) -> Any:
    """Return an ``ILogger`` of the module whose ``errors`` hold the newest errors, as text."""

    class Logger(trt.ILogger):  # type: ignore[misc]  # the base is known at run time only
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.errors = [*self.errors[-_KEPT:], message]

    return Logger()
