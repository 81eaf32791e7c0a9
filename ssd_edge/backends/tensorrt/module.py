"""TensorRT's Python module, under the name of either target, and what it says.

TensorRT has one logger a process; code that needs its messages for an error adds a :class:`Listener` to it.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ssd_edge.core.choices import Target
from ssd_edge.core.errors import DeviceError, MissingPackageError

if TYPE_CHECKING:
    import tensorrt


TENSORRT, TENSORRT_RTX = Target.TENSORRT, Target.TENSORRT_RTX
_MODULES: dict[str, tuple[str, ...]] = {
    TENSORRT: ("tensorrt",),
    TENSORRT_RTX: ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
_INSTALL: dict[str, str] = {
    TENSORRT: "Run ssd-edge doctor: it names the command that installs the right version for this machine.",
    TENSORRT_RTX: "Install it: pip install 'ssd-edge[rtx]'",
}
_KEPT = 2000  # of a DLA's build there may be one for each layer and tensor
_ABOUT_MEMORY = re.compile(r"out ?of ?memory|insufficient memory|could not be allocated", re.IGNORECASE)


def quiet(message: str) -> None:
    """Take a message and say nothing."""


class Listener:
    """Log messages of TensorRT from now on.

    Args:
        trt: the module, of whatever release.
        ignored: returns whether a message means nothing here; by default none.

    Attributes:
        logger: the ``ILogger`` to give to TensorRT.
        errors, warnings: each text once, in the order in which they were said; the newest 2000.
    """

    def __init__(self, trt: Any, ignored: Callable[[str], bool] | None = None) -> None:
        self._report: Callable[[str], None] = quiet
        self._ignored = ignored
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.logger: Any = _logger(trt)
        self.logger.listeners.add(self)

    @contextmanager
    def reporting(self, report: Callable[[str], None]) -> Iterator[None]:
        """Call ``report`` with each new error inside the block."""
        self._report = report
        try:
            yield
        finally:
            self._report = quiet

    def hear(self, message: str, *, is_error: bool) -> None:
        """Keep a message."""
        kept = self.errors if is_error else self.warnings
        if message in kept or (self._ignored is not None and self._ignored(message)):
            return
        kept.append(message)
        del kept[:-_KEPT]
        if is_error:
            self._report(message)


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
    """Return whether TensorRT failed because memory ended, and not for what it was given."""
    return any(_ABOUT_MEMORY.search(message) for message in messages)


def is_installed(target: str) -> bool:
    """Return whether a module for the target can be found; it is not imported. A folder of type stubs is none."""
    specs = (importlib.util.find_spec(name) for name in _MODULES[target])
    return any(spec is not None and spec.loader is not None for spec in specs)


def load_tensorrt(target: str) -> Any:
    """Return the module of a target, whose calls are those of ``tensorrt``.

    Raises:
        MissingPackageError: it is not installed, or cannot be imported.
    """
    problems: list[ImportError | OSError] = []
    for name in _MODULES[target]:
        try:
            module = importlib.import_module(name)
            if hasattr(module, "Builder") or hasattr(module, "Runtime"):
                return module
        except (ImportError, OSError) as error:
            problems.append(error)
    raise MissingPackageError(
        f"{target} is not installed", got="; ".join(map(str, problems)) or "no such module", do=_INSTALL[target]
    ) from (problems[-1] if problems else None)


def plugin_names(trt: Any, logger: tensorrt.ILogger) -> frozenset[str]:
    """Initialize the plugin library and return what it registers; nothing where there is no registry."""
    if not hasattr(trt, "init_libnvinfer_plugins"):
        return frozenset()
    trt.init_libnvinfer_plugins(logger, "")
    registry = trt.get_plugin_registry()
    # plugin_creator_list went in TensorRT 11; all_creators came with 10.
    creators = registry.all_creators if hasattr(registry, "all_creators") else registry.plugin_creator_list
    return frozenset(creator.name for creator in creators)


def start_tensorrt(kind: Any, listener: Listener, what: str) -> Any:
    """Return a ``Builder`` or ``Runtime``.

    Args:
        kind: the class.
        listener: hears what TensorRT says; of CUDA some releases say it in a warning, others in an error.
        what: TensorRT as users know it, for the error.

    Raises:
        DeviceError: CUDA cannot be initialized.
    """
    why = ""
    try:
        made = kind(listener.logger)
    except TypeError as error:  # pybind11's answer to a factory that gives nothing
        made, why = None, str(error)
    if made is not None:
        return made
    raise DeviceError(
        f"{what} cannot start",
        got="; ".join([*listener.errors, *listener.warnings][-3:]) or why or "no message",
        wanted="a GPU with a driver that supports the CUDA version that this TensorRT was built for",
        do="Install or update the driver; see: ssd-edge doctor",
    )
