"""The GPU as TensorRT's libraries see it: the emulated driver, or a description that is enough to build for."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Protocol

from tools.emulator.standin.jobs import RUN_JOB

OK, _OUT_OF_MEMORY = 0, 2


class CudaError(Exception):
    """The driver refused; the text is TensorRT's."""


class Device(Protocol):
    """What the stand-in asks of a GPU."""

    def problem(self) -> int:
        """Return the driver's error code; 0 where the GPU answers."""

    def capability(self) -> int:
        """Return 87 for compute capability 8.7."""

    def current(self) -> int | None:
        """Return the context that is current on this thread."""

    def enter(self) -> None:
        """Make the primary context current, as the libraries do that bring CUDA's runtime along."""

    def leave(self) -> None:
        """Take it off again."""

    def allocate(self, size: int) -> int:
        """Return the address of new memory, or raise CudaError."""

    def free(self, address: int) -> None:
        """Give it back."""

    def fault(self, message: str) -> None:
        """Report a misuse."""


class Paper:
    """A GPU that exists on paper, for tests of the builder alone."""

    def __init__(self, capability: int = 87) -> None:
        self._capability = capability
        self.faults: list[str] = []

    def problem(self) -> int:
        return OK

    def capability(self) -> int:
        return self._capability

    def current(self) -> int | None:
        return 1

    def enter(self) -> None:
        pass

    def leave(self) -> None:
        pass

    def allocate(self, size: int) -> int:
        return 256

    def free(self, address: int) -> None:
        pass

    def fault(self, message: str) -> None:
        self.faults.append(message)


class Emulated:
    """The emulated driver, by its own calls and those that it has for the stand-in."""

    def __init__(self) -> None:
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._driver.emu_current.restype = ctypes.c_void_p
        self._driver.emu_resolve.restype = ctypes.c_void_p
        self._driver.emu_resolve.argtypes = [ctypes.c_ulonglong, ctypes.c_size_t]
        self._driver.emu_room.restype = ctypes.c_size_t
        self._driver.emu_room.argtypes = [ctypes.c_ulonglong]
        self._driver.cuMemFree_v2.argtypes = [ctypes.c_ulonglong]
        self._driver.emu_enqueue.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_ulonglong), ctypes.c_int,
        ]  # fmt: skip

    def problem(self) -> int:
        count = ctypes.c_int()
        return int(self._driver.cuInit(0) or self._driver.cuDeviceGetCount(ctypes.byref(count)))

    def capability(self) -> int:
        major, minor = ctypes.c_int(), ctypes.c_int()
        if self._driver.cuDeviceComputeCapability(ctypes.byref(major), ctypes.byref(minor), 0) != OK:
            return 0
        return 10 * major.value + minor.value

    def current(self) -> int | None:
        found: int | None = self._driver.emu_current()
        return found

    def enter(self) -> None:
        context = ctypes.c_void_p()
        if self._driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == OK:
            self._driver.cuCtxPushCurrent_v2(context)

    def leave(self) -> None:
        context = ctypes.c_void_p()
        if self.current() is not None:
            self._driver.cuCtxPopCurrent_v2(ctypes.byref(context))
            self._driver.cuDevicePrimaryCtxRelease_v2(0)

    def allocate(self, size: int) -> int:
        address = ctypes.c_ulonglong()
        status = self._driver.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(max(1, size)))
        if status != OK:
            raise CudaError(f"Cuda Runtime ({'out of memory' if status == _OUT_OF_MEMORY else 'unknown error'})")
        return address.value

    def free(self, address: int) -> None:
        self._driver.cuMemFree_v2(address)

    def fault(self, message: str) -> None:
        self._driver.emu_fault(message.encode())

    def room(self, address: int) -> int:
        """Return the bytes from an address to the end of its block; 0 where there is none."""
        return int(self._driver.emu_room(address))

    def host(self, address: int, size: int) -> int | None:
        """Return where the bytes at a device address lie; None, and a fault, where they may not be touched."""
        found: int | None = self._driver.emu_resolve(address, size)
        return found

    def is_captured(self, stream: int) -> bool:
        status = ctypes.c_int()
        self._driver.cuStreamIsCapturing(ctypes.c_void_p(stream), ctypes.byref(status))
        return bool(status.value)

    def enqueue(self, stream: int, number: int, touched: list[int], *, idle: bool) -> int:
        """Put a job on a stream as a kernel that touches some addresses; return the driver's error code."""
        addresses = (ctypes.c_ulonglong * len(touched))(*touched)
        work: Callable[..., object] = self._driver.emu_nothing if idle else RUN_JOB
        return int(
            self._driver.emu_enqueue(stream, ctypes.cast(work, ctypes.c_void_p), number, addresses, len(touched))
        )
