"""Starts what TensorRT does everything with: it needs CUDA, and says no more than "nullptr" where it cannot have it."""

from __future__ import annotations

from typing import Any

from ssd_edge.backends.trt_logger import Listener
from ssd_edge.core.errors import DeviceError


def start_tensorrt(kind: Any, listener: Listener, what: str) -> Any:
    """Return a ``Builder`` or ``Runtime``.

    Args:
        kind: the class.
        listener: hears what TensorRT says; of CUDA some releases say it in a warning, others in an error.
        what: TensorRT as users know it, for the error.

    Raises:
        DeviceError: CUDA cannot be initialised.
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
        wanted="a GPU, with a driver at least as new as the CUDA that this TensorRT is built for",
        do="The driver is missing, or older than that; see: ssd-edge doctor",
    )
