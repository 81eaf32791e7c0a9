"""What TensorRT says while it builds: kept, and said again in terms of what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_KEPT = 200
# What TensorRT prints, and what helps. The texts are those of its own messages, 8.5 to 11 and RTX.
_ADVICE = (
    (r"[Cc]ould not find any impl|no runners|no implementation", "Build in another precision, or raise --workspace."),
    (r"[Oo]ut ?[Oo]f ?[Mm]emory|insufficient memory|exceeds? the limit", "Close other programs, or lower --workspace."),
    (r"No importer registered|getPluginCreator|plugin .*not found", "Export the model again: ssd-edge export"),
    (r"DLA", "Build without --dla, or let what DLA cannot run fall back to the GPU."),
    (r"profile|kMIN|kOPT|kMAX", "Give --batch as MIN:OPT:MAX with 1 <= MIN <= OPT <= MAX."),
)  # fmt: skip


def make_logger(trt: Any, told: Callable[[str], None]) -> Any:
    """Return an ``ILogger`` of the module that keeps warnings and errors, each once, and tells the errors to ``told``.

    Its ``errors`` and ``warnings`` are lists of text.
    """

    class Logger(trt.ILogger):  # type: ignore[misc]  # the base is known at run time only
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                kept = self.errors
            elif severity == trt.ILogger.WARNING:
                kept = self.warnings
            else:
                return
            if message not in kept and len(kept) < _KEPT and not is_about_driver(message):
                kept.append(message)
                if kept is self.errors:
                    told(message)

    return Logger()


def is_about_driver(message: str) -> bool:
    """Tell the complaint that there is no GPU here, which building for another one does not need."""
    return "CUDA driver version" in message or "Unable to determine GPU memory usage" in message


def advice_for(messages: list[str]) -> str:
    """Return what to do about TensorRT's errors."""
    for pattern, do in _ADVICE:
        if any(re.search(pattern, message) for message in messages):
            return do
    return "Build again with --debug, and report it with ssd-edge doctor --json."
