"""NVIDIA's cuda-python (``cuda.bindings``) under the names of ``pycuda.driver`` that the CUDA layer uses.

cuda-python comes as a wheel and needs no compiler on the board; pycuda is built there. What the two do is the same call
of the same driver: streams, events, memory, the primary context.
"""

from __future__ import annotations

import ctypes
from enum import IntFlag
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from cuda.bindings import driver as cu

from ssd_edge.core.errors import DeviceError


class Error(Exception):
    """The driver refused."""


class MemoryError(Error):
    """There is no memory left."""


class event_flags(IntFlag):  # noqa: N801 - pycuda's name
    """Of ``cuEventCreate``."""

    BLOCKING_SYNC = 1
    DISABLE_TIMING = 2


class host_alloc_flags(IntFlag):  # noqa: N801 - pycuda's name
    """Of ``cuMemHostAlloc``."""

    DEVICEMAP = 2


device_attribute = SimpleNamespace(INTEGRATED=cu.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_INTEGRATED)


def _call(function: Any, *arguments: Any) -> Any:
    """Call the driver and return what it gives beside its code.

    Raises:
        MemoryError: there is no room.
        Error: it refuses for another reason.
    """
    code, *found = function(*arguments)
    _check(function.__name__, code)
    return found[0] if found else None


def _check(name: str, code: Any) -> None:
    if code == cu.CUresult.CUDA_SUCCESS:
        return
    _, text = cu.cuGetErrorString(code)
    kind = MemoryError if code == cu.CUresult.CUDA_ERROR_OUT_OF_MEMORY else Error
    raise kind(f"{name} failed: {(text or b'unknown error').decode(errors='replace')} ({int(code)})")


def init() -> None:
    """Start the driver.

    Raises:
        Error: it has no GPU.
    """
    _call(cu.cuInit, 0)


class Device:
    """A GPU by number."""

    def __init__(self, number: int) -> None:
        self._device = _call(cu.cuDeviceGet, number)

    def name(self) -> str:
        """Return its name."""
        return str(_call(cu.cuDeviceGetName, 256, self._device).split(b"\0")[0].decode(errors="replace"))

    def compute_capability(self) -> tuple[int, int]:
        """Return e.g. (8, 7)."""
        kinds = cu.CUdevice_attribute
        major = self.get_attribute(kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
        return major, self.get_attribute(kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)

    def get_attribute(self, attribute: Any) -> int:
        """Return what the driver says of one."""
        return int(_call(cu.cuDeviceGetAttribute, attribute, self._device))

    def retain_primary_context(self) -> Context:
        """Return the context that the process shares."""
        return Context(self._device)


class Context:
    """The primary context, held until :meth:`detach`."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self._context = _call(cu.cuDevicePrimaryCtxRetain, device)

    def push(self) -> None:
        """Make it current on this thread."""
        _call(cu.cuCtxPushCurrent, self._context)

    @staticmethod
    def pop() -> None:
        """Take it off this thread."""
        _call(cu.cuCtxPopCurrent)

    @staticmethod
    def synchronize() -> None:
        """Wait for all work of the context that is current."""
        _call(cu.cuCtxSynchronize)

    def detach(self) -> None:
        """Give it back."""
        _call(cu.cuDevicePrimaryCtxRelease, self._device)


class Stream:
    """A queue of work; destroyed with its object, whose context must be current then."""

    def __init__(self, flags: int = 0) -> None:
        self._stream: Any = None
        self._stream = _call(cu.cuStreamCreate, flags)
        self.handle = int(self._stream)

    def synchronize(self) -> None:
        """Wait until all of it is done."""
        _call(cu.cuStreamSynchronize, self._stream)

    def wait_for_event(self, event: Event) -> None:
        """Let later work begin after the event only."""
        _call(cu.cuStreamWaitEvent, self._stream, event.raw, 0)

    def __del__(self) -> None:
        if self._stream is not None:
            cu.cuStreamDestroy(self._stream)


class Event:
    """A point in a stream; destroyed with its object."""

    def __init__(self, flags: int = 0) -> None:
        self.raw: Any = None
        self.raw = _call(cu.cuEventCreate, int(flags))

    def record(self, stream: Stream) -> None:
        """Put the point behind what the stream holds now."""
        _call(cu.cuEventRecord, self.raw, stream.handle)

    def query(self) -> bool:
        """Return whether the stream has passed it."""
        (code,) = cu.cuEventQuery(self.raw)
        if code == cu.CUresult.CUDA_ERROR_NOT_READY:
            return False
        _check("cuEventQuery", code)
        return True

    def synchronize(self) -> None:
        """Wait until the stream has passed it."""
        _call(cu.cuEventSynchronize, self.raw)

    def time_till(self, later: Event) -> float:
        """Return the milliseconds to a later event."""
        return float(_call(cu.cuEventElapsedTime, self.raw, later.raw))

    def __del__(self) -> None:
        if self.raw is not None:
            cu.cuEventDestroy(self.raw)


class DeviceMemory:
    """Memory on the GPU; its number is the address."""

    def __init__(self, size: int) -> None:
        self._address = _call(cu.cuMemAlloc, size)

    def __int__(self) -> int:
        return int(self._address)

    def free(self) -> None:
        """Give it back."""
        _call(cu.cuMemFree, self._address)


def mem_alloc(size: int) -> DeviceMemory:
    """Return so many bytes on the GPU.

    Raises:
        MemoryError: there is no room.
    """
    return DeviceMemory(size)


class HostMemory:
    """Pinned memory of the processor: the ``base`` of the array that :func:`pagelocked_empty` gives."""

    def __init__(self, shape: tuple[int, ...], kind: np.dtype[Any], flags: int) -> None:
        size = max(1, prod(shape) * kind.itemsize)
        self._address = int(_call(cu.cuMemHostAlloc, size, int(flags)))
        where = (self._address, False)
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": kind.str, "data": where}

    def get_device_pointer(self) -> int:
        """Return where the GPU sees it."""
        return int(_call(cu.cuMemHostGetDevicePointer, self._address, 0))

    def free(self) -> None:
        """Give it back; no array that looks at it may be used any more."""
        _call(cu.cuMemFreeHost, self._address)


def pagelocked_empty(shape: tuple[int, ...], dtype: npt.DTypeLike, *, mem_flags: int = 0) -> npt.NDArray[Any]:
    """Return an array in pinned memory.

    Raises:
        MemoryError: there is no room, or it may not be pinned.
    """
    return np.asarray(HostMemory(shape, np.dtype(dtype), mem_flags))


def memcpy_htod_async(device: int, host: npt.NDArray[Any], stream: Stream) -> None:
    """Queue a copy to the GPU."""
    _call(cu.cuMemcpyHtoDAsync, device, _address(host), host.nbytes, stream.handle)


def memcpy_dtoh_async(host: npt.NDArray[Any], device: int, stream: Stream) -> None:
    """Queue a copy from the GPU."""
    _call(cu.cuMemcpyDtoHAsync, _address(host), device, host.nbytes, stream.handle)


def _address(host: npt.NDArray[Any]) -> int:
    """Return where an array lies, which must be one piece of memory: the driver copies bytes, not rows."""
    if not host.flags.c_contiguous:
        raise DeviceError(
            "an array cannot be copied to or from the GPU",
            got=f"strides {host.strides}",
            wanted="a contiguous array",
            do="This is a bug in ssd-edge: please report it.",
        )
    return int(host.ctypes.data_as(ctypes.c_void_p).value or 0)
