"""What TensorRT says, kept for our errors: it has one logger a process, and whoever needs its words listens there."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_KEPT = 2000  # of a DLA's build there may be one for each layer and tensor
_ABOUT_MEMORY = re.compile(r"out ?of ?memory|insufficient memory|could not be allocated", re.IGNORECASE)


def quiet(message: str) -> None:
    """Take a message and say nothing."""


class Listener:
    """What TensorRT says from now on.

    Args:
        trt: the module, of whatever release.
        ignored: tells the messages that mean nothing here; by default none.

    Attributes:
        logger: the ``ILogger`` to give to TensorRT.
        errors, warnings: each text once, in the order in which they were said; the newest 2000.
    """

    def __init__(self, trt: Any, ignored: Callable[[str], bool] | None = None) -> None:
        self._told: Callable[[str], None] = quiet
        self._ignored = ignored
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.logger: Any = _logger(trt)
        self.logger.listeners.add(self)

    @contextmanager
    def telling(self, told: Callable[[str], None]) -> Iterator[None]:
        """Call ``told`` with each new error inside the block."""
        self._told = told
        try:
            yield
        finally:
            self._told = quiet

    def hear(self, message: str, *, is_error: bool) -> None:
        """Keep a message."""
        kept = self.errors if is_error else self.warnings
        if message in kept or (self._ignored is not None and self._ignored(message)):
            return
        kept.append(message)
        del kept[:-_KEPT]
        if is_error:
            self._told(message)


@lru_cache(maxsize=8)
def _logger(trt: Any) -> Any:
    """Return the module's logger: of a second one TensorRT says that it is ignored, as long as the first is in use."""
    errors, warning = (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR), trt.ILogger.WARNING

    class Logger(trt.ILogger):  # type: ignore[misc]  # the base is known at run time only
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.listeners: weakref.WeakSet[Listener] = weakref.WeakSet()

        def log(self, severity: Any, message: str) -> None:
            if severity in errors or severity == warning:
                for listener in list(self.listeners):
                    listener.hear(message, is_error=severity in errors)

    return Logger()


def is_about_memory(messages: Iterable[str]) -> bool:
    """Tell whether TensorRT failed because memory ended, and not for what it was given."""
    return any(_ABOUT_MEMORY.search(message) for message in messages)
