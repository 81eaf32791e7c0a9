"""ILogger and Logger."""

from __future__ import annotations

import enum
import sys
from typing import Any

SEVERITIES = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")
Severity = enum.IntEnum("Severity", SEVERITIES, start=0)  # type: ignore[misc]


class ILogger:
    """To be derived from; its ``__init__`` must be called by name, as pybind11 insists."""

    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def __init__(self) -> None:
        self._made = True

    def log(self, severity: Any, message: str) -> None:
        raise RuntimeError('Tried to call pure virtual function "nvinfer1::ILogger::log"')


class Logger(ILogger):
    """Prints what is severe enough."""

    min_severity = Severity.WARNING

    def __init__(self, min_severity: Any = Severity.WARNING) -> None:
        ILogger.__init__(self)
        self.min_severity = min_severity

    def log(self, severity: Any, message: str) -> None:
        if severity <= self.min_severity:
            sys.stderr.write(f"[TRT] {message}\n")


def check_logger(logger: Any) -> None:
    """Raise TypeError, as the bindings do, for what is no logger or was not initialized."""
    if not isinstance(logger, ILogger) or not getattr(logger, "_made", False):
        raise TypeError("__init__(): incompatible constructor arguments: no ILogger, or its __init__ was not called")
