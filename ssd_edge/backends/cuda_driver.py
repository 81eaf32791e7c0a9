"""Asks the CUDA driver itself about the GPU: it is there before any package is installed, also on a Jetson."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

_LIBRARY = "libcuda.so.1"
_MEMORY = Path("/proc/meminfo")
_VIRTUAL = re.compile("virtual|emulat|simulat", re.IGNORECASE)
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


def is_virtual_name(name: str) -> bool:
    """Return whether a GPU of this name calls itself virtual: then there is no device behind the driver."""
    return bool(_VIRTUAL.search(name))


def is_virtual() -> bool:
    """Return whether the first GPU here calls itself virtual; False where there is none."""
    found = describe_gpu()
    return isinstance(found, dict) and is_virtual_name(found["name"])


def used_memory() -> int:
    """Return the bytes in use on the first GPU, by all programs together; 0 where there is none.

    Of a GPU that shares the computer's memory the driver counts files that the system keeps for later as in use, so
    there it is the system that is asked. The primary context is made for the question where this process has none yet.
    """
    try:
        driver = ctypes.CDLL(_LIBRARY)
        return _used(driver)
    except (OSError, DriverError):
        return 0


def _used(driver: ctypes.CDLL) -> int:
    _call(driver, "cuInit", 0)
    device, context = _number(driver, "cuDeviceGet", 0), ctypes.c_void_p()
    if _number(driver, "cuDeviceGetAttribute", _INTEGRATED, device):
        return _used_by_system(_MEMORY.read_text(encoding="utf-8"))
    _call(driver, "cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    try:
        _call(driver, "cuCtxPushCurrent_v2", context)
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        try:
            _call(driver, "cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        finally:
            driver.cuCtxPopCurrent_v2(ctypes.byref(context))
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(device)
    return total.value - free.value


def _used_by_system(meminfo: str) -> int:
    """Return the bytes of unavailable memory, as Linux reports them."""
    sizes = dict(re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB", meminfo, re.MULTILINE))
    return 1024 * (int(sizes.get("MemTotal", 0)) - int(sizes.get("MemAvailable", 0)))


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
