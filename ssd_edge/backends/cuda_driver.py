"""Asks the CUDA driver itself about the GPU: it is there before any package is installed, also on a Jetson."""

from __future__ import annotations

import ctypes
from typing import Any

_LIBRARY = "libcuda.so.1"
# CUdevice_attribute, of cuda.h
_INTEGRATED, _MAJOR, _MINOR = 18, 75, 76


class DriverError(Exception):
    """The driver answered with an error."""


def describe_gpu() -> dict[str, Any] | str | None:
    """Return the first GPU's facts, the driver's error, or None where there is no driver."""
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    try:
        return _describe(driver)
    except DriverError as error:
        return str(error)


def _describe(driver: ctypes.CDLL) -> dict[str, Any] | str:
    _call(driver, "cuInit", 0)
    count = _number(driver, "cuDeviceGetCount")
    if count == 0:
        return "the CUDA driver shows no GPU"
    device = _number(driver, "cuDeviceGet", 0)
    version = _number(driver, "cuDriverGetVersion")
    name = ctypes.create_string_buffer(256)
    _call(driver, "cuDeviceGetName", name, len(name), device)
    memory = ctypes.c_size_t()
    _call(driver, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    integrated, major, minor = (
        _number(driver, "cuDeviceGetAttribute", attribute, device) for attribute in (_INTEGRATED, _MAJOR, _MINOR)
    )
    return {
        "name": name.value.decode(errors="replace"),
        "compute_capability": [major, minor],
        "integrated": bool(integrated),
        "memory": memory.value,
        "driver_cuda": [version // 1000, version % 1000 // 10],
        "count": count,
    }


def _number(driver: ctypes.CDLL, function: str, *arguments: Any) -> int:
    """Call a function that writes an int through its first argument."""
    value = ctypes.c_int()
    _call(driver, function, ctypes.byref(value), *arguments)
    return value.value


def _call(driver: ctypes.CDLL, function: str, *arguments: Any) -> None:
    result = getattr(driver, function)(*arguments)
    if result != 0:
        text = ctypes.c_char_p()
        driver.cuGetErrorString(result, ctypes.byref(text))
        meaning = (text.value or b"unknown error").decode(errors="replace")
        raise DriverError(f"{function}: CUDA error {result}, {meaning}")
