"""CUDA through pycuda, as narrow as the runtime needs it: one primary context, one owner, everything given back.

The primary context is the one that other libraries of the process use too (OpenCV, cudart). pycuda's ``autoinit`` is
not used: its context would belong to whichever thread happened to import it.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from ssd_edge.backends.cuda_graph import GraphDriver
from ssd_edge.backends.cuda_types import Buffer, Clock, Event, Stream
from ssd_edge.backends.held import hold
from ssd_edge.core.errors import DeviceError, MissingPackageError

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: the legacy stream of other libraries does not wait for ours


class Cuda:
    """The first GPU's primary context, current on the thread that made this object and on no other.

    Raises:
        MissingPackageError: pycuda is not installed, or does not fit the driver.
        DeviceError: there is no GPU, or it refuses.
    """

    def __init__(self) -> None:
        self._driver = load_pycuda()
        self._owner = threading.get_ident()
        self._release: list[tuple[str, Callable[[], object]]] = []
        with self.errors("the GPU cannot be opened"):
            self._driver.init()
            device = self._driver.Device(0)
            self.name = str(device.name())
            major, minor = device.compute_capability()
            self.compute_capability = 10 * int(major) + int(minor)
            attribute = self._driver.device_attribute
            self.shares_memory = bool(device.get_attribute(attribute.INTEGRATED))
            self._context = device.retain_primary_context()
            self._context.push()
        self._dropped = hold("CUDA context", self)
        self.graphs = GraphDriver()

    @contextmanager
    def errors(self, what: str) -> Iterator[None]:
        """Turn whatever the driver raises inside the block into one DeviceError."""
        try:
            yield
        except self._driver.MemoryError as error:
            raise DeviceError(
                f"{what}: the GPU's memory is full",
                got=str(error),
                do="Close other programs, or build with a smaller --batch.",
            ) from error
        except self._driver.Error as error:
            raise DeviceError(what, got=str(error), do="See: ssd-edge doctor") from error

    def stream(self) -> Stream:
        """Return a new stream."""
        stream: Stream = self._driver.Stream(_NON_BLOCKING)
        hold("stream", stream)
        return stream

    def event(self) -> Event:
        """Return a new event, without a clock: those are slower. Who waits for it sleeps."""
        flags = self._driver.event_flags
        event: Event = self._driver.Event(flags.DISABLE_TIMING | flags.BLOCKING_SYNC)
        hold("event", event)
        return event

    def synchronize(self) -> None:
        """Wait for all work; inside :meth:`errors` this tells whether the GPU still answers."""
        self._driver.Context.synchronize()

    def settle(self) -> None:
        """Wait until nothing runs that uses what is given back next; a GPU that fails has nothing left to wait for."""
        with suppress(self._driver.Error):
            self.synchronize()

    def clock(self) -> Clock:
        """Return a new event that knows when it was passed; who waits for it sleeps."""
        event: Clock = self._driver.Event(self._driver.event_flags.BLOCKING_SYNC)
        hold("event", event)
        return event

    def buffer(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Buffer:
        """Allocate a tensor; given back by :meth:`close`."""
        if self.shares_memory:
            return self._mapped(shape, dtype)
        host = self._pinned(shape, dtype, 0)
        device = self._driver.mem_alloc(max(1, host.nbytes))
        self._own("device memory", device)
        return Buffer(host, int(device), mapped=False)

    def upload(self, buffer: Buffer, count: int, stream: Stream) -> None:
        """Queue the copy of the first ``count`` rows to the GPU."""
        if not buffer.mapped:
            self._driver.memcpy_htod_async(buffer.device, buffer.host[:count], stream)

    def download(self, buffer: Buffer, count: int, stream: Stream) -> None:
        """Queue the copy of the first ``count`` rows from the GPU; read them after an event or a wait."""
        if not buffer.mapped:
            self._driver.memcpy_dtoh_async(buffer.host[:count], buffer.device, stream)

    def close(self) -> list[str]:
        """Give everything back, newest first, also where the device is lost; return what failed.

        Only the thread that opened it may call this.
        """
        if threading.get_ident() != self._owner:
            return ["closed by a thread that does not own the context"]
        failed = []
        while self._release:
            what, release = self._release.pop()
            failed += self._attempt(what, release)
        failed += self._attempt("the context", self._context.pop)
        failed += self._attempt("the context", self._context.detach)
        # pycuda pushes a primary context again in order to release it, and leaves it on the thread.
        self.graphs.pop_context()
        self._dropped()
        return failed

    def _attempt(self, what: str, release: Callable[[], object]) -> list[str]:
        try:
            release()
        except self._driver.Error as error:
            return [f"{what}: {error}"]
        return []

    def _mapped(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Buffer:
        host = self._pinned(shape, dtype, self._driver.host_alloc_flags.DEVICEMAP)
        return Buffer(host, int(host.base.get_device_pointer()), mapped=True)

    def _pinned(self, shape: tuple[int, ...], dtype: npt.DTypeLike, flags: int) -> Any:
        host = self._driver.pagelocked_empty(shape, np.dtype(dtype), mem_flags=flags)
        self._own("pinned memory", host.base)
        return host

    def _own(self, what: str, memory: Any) -> None:
        """Give the memory back on close."""
        dropped = hold(what, memory)

        def release() -> None:
            memory.free()
            dropped()

        self._release.append((what, release))


def load_pycuda() -> Any:
    """Return ``pycuda.driver``.

    Raises:
        MissingPackageError: it is not installed, or there is no driver for it.
    """
    try:
        driver = importlib.import_module("pycuda.driver")
    except ImportError as error:
        raise MissingPackageError(
            "pycuda is not installed, or does not fit this machine's CUDA driver",
            got=str(error),
            wanted="pycuda 2025.1.2 or later",
            do="Install it: pip install 'pycuda>=2025.1.2' (needs the CUDA toolkit's headers; see: ssd-edge doctor)",
        ) from error
    return driver
