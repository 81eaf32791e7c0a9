"""What TensorRT says while it loads and runs an engine: its errors are kept for ours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_KEPT = 20
_ABOUT_MEMORY = re.compile(r"out ?of ?memory|insufficient memory|could not be allocated", re.IGNORECASE)


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


def is_about_memory(messages: Iterable[str]) -> bool:
    """Tell whether TensorRT failed because memory ended, and not for what it was given."""
    return any(_ABOUT_MEMORY.search(message) for message in messages)
