"""CUDA through pycuda or cuda-python, as narrow as the runtime needs it: one context, one owner, everything given back.

The primary context is the one that other libraries of the process use too (OpenCV, cudart). pycuda's ``autoinit`` is
not used: its context would belong to whichever thread happened to import it.
"""

from __future__ import annotations

import ctypes
import importlib
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ssd_edge.core.errors import DeviceError, MissingPackageError

_LIBRARY = "libcuda.so.1"
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do does not spoil the capture
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: the legacy stream of other libraries does not wait for ours


class Stream(Protocol):
    """A queue of work on the GPU (``pycuda.driver.Stream``)."""

    handle: int

    def synchronize(self) -> None:
        """Wait until all of it is done."""

    def wait_for_event(self, event: Event) -> None:
        """Let later work on this stream begin after the event only."""


class Event(Protocol):
    """A point in a stream (``pycuda.driver.Event``)."""

    def record(self, stream: Stream) -> object:
        """Put the point behind what the stream holds now."""

    def query(self) -> bool:
        """Return whether the stream has passed it."""

    def synchronize(self) -> object:
        """Wait until the stream has passed it."""


class Clock(Event, Protocol):
    """An event with a time."""

    def time_till(self, later: Clock) -> float:
        """Return the milliseconds from this event to a later one; both must have been passed."""


@dataclass(frozen=True)
class Buffer:
    """A tensor's memory on both sides.

    Attributes:
        host: pinned array that the CPU reads and writes.
        device: address that the GPU reads and writes.
        mapped: both are the same memory (a GPU that shares the CPU's), so nothing has to be copied.
    """

    host: npt.NDArray[Any]
    device: int
    mapped: bool


_held: Counter[str] = Counter()
_lock = threading.RLock()  # a thing may be collected, and so dropped, in the middle of a count


def hold(kind: str, thing: object) -> Callable[[], object]:
    """Count a thing as held until it is collected, or until what is returned is called."""
    with _lock:
        _held[kind] += 1
    dropped = weakref.finalize(thing, _drop, kind)
    dropped.atexit = False
    return dropped


def what_is_held() -> dict[str, int]:
    """Return how many there are of each kind, e.g. ``{"execution context": 2}``; empty where nothing is held."""
    with _lock:
        return {kind: count for kind, count in sorted(_held.items()) if count}


def _drop(kind: str) -> None:
    with _lock:
        _held[kind] -= 1


class CaptureError(Exception):
    """The work cannot be captured; the stream is usable again."""


class Graph:
    """Captured work that one call starts.

    Everything that it touches, memory and execution context, must live as long and stay where it is.
    """

    def __init__(self, driver: GraphDriver, executable: ctypes.c_void_p) -> None:
        self._driver, self._executable = driver, executable
        self._dropped = hold("CUDA graph", self)

    def launch(self, stream: int) -> None:
        """Put the whole on a stream.

        Raises:
            CaptureError: the driver refuses.
        """
        self._driver.call("cuGraphLaunch", self._executable, ctypes.c_void_p(stream))

    def close(self) -> None:
        """Destroy it."""
        self._dropped()
        self._driver.call("cuGraphExecDestroy", self._executable)


class GraphDriver:
    """The few calls of the CUDA driver that pycuda lacks."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(_LIBRARY)

    def capture(self, stream: int, enqueue: Callable[[], bool]) -> Graph:
        """Record what ``enqueue`` puts on the stream, which runs nothing of it.

        Raises:
            CaptureError: ``enqueue`` says False, or does what cannot be recorded.
        """
        handle, graph = ctypes.c_void_p(stream), ctypes.c_void_p()
        self.call("cuStreamBeginCapture_v2", handle, _THREAD_LOCAL)
        try:
            accepted = enqueue()
        finally:  # also after a failure: a stream in capture takes no work
            ended = self._library.cuStreamEndCapture(handle, ctypes.byref(graph))
        if ended != 0 or not accepted:
            if graph:
                self._library.cuGraphDestroy(graph)
            raise CaptureError(
                self._meaning("cuStreamEndCapture", ended)
                if ended
                else "TensorRT could not be captured in a CUDA graph"
            )
        return self._instantiate(graph)

    def pop_context(self) -> None:
        """Take what is left of the calling thread's contexts off it."""
        context = ctypes.c_void_p()
        while self._library.cuCtxGetCurrent(ctypes.byref(context)) == 0 and context:
            if self._library.cuCtxPopCurrent_v2(ctypes.byref(context)) != 0:
                return

    def call(self, function: str, *arguments: object) -> None:
        """Call the driver; raise CaptureError where it refuses."""
        result = getattr(self._library, function)(*arguments)
        if result != 0:
            raise CaptureError(self._meaning(function, result))

    def _instantiate(self, graph: ctypes.c_void_p) -> Graph:
        executable = ctypes.c_void_p()
        try:
            self.call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
        finally:
            self._library.cuGraphDestroy(graph)  # an error here is an older one, and the executable must not be lost
        return Graph(self, executable)

    def _meaning(self, function: str, result: int) -> str:
        text = ctypes.c_char_p()
        self._library.cuGetErrorString(result, ctypes.byref(text))
        return f"{function}: {(text.value or b'unknown error').decode(errors='replace')} ({result})"


class Cuda:
    """The first GPU's primary context, current on the thread that made this object and on no other.

    Raises:
        MissingPackageError: neither pycuda nor cuda-python is installed, or fits the driver.
        DeviceError: there is no GPU, or it refuses.
    """

    def __init__(self) -> None:
        self._driver = load_driver()
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
            raise DeviceError(what, got=str(error), do="Run: ssd-edge doctor") from error

    @property
    def binding(self) -> str:
        """The module that the driver is called through."""
        return str(self._driver.__name__)

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
        """Wait for all work; inside :meth:`errors` this shows whether the GPU still answers."""
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
            return ["closed by a thread that does not own the CUDA context"]
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
        kind = np.dtype(dtype)
        try:
            host = self._driver.pagelocked_empty(shape, kind, mem_flags=flags)
        except self._driver.MemoryError as error:
            raise DeviceError(
                "memory cannot be pinned for the GPU",
                got=f"{error}, for {max(1, prod(shape) * kind.itemsize)} bytes",
                wanted="free memory, and permission to lock it",
                do="Close other programs; in a container: docker run --ulimit memlock=-1 …",
            ) from error
        self._own("pinned memory", host.base)
        return host

    def _own(self, what: str, memory: Any) -> None:
        """Give the memory back on close."""
        dropped = hold(what, memory)

        def release() -> None:
            memory.free()
            dropped()

        self._release.append((what, release))


def load_driver() -> Any:
    """Return ``pycuda.driver``, or what has its names on cuda-python, which needs no compiler.

    Raises:
        MissingPackageError: neither is installed, or there is no driver for them.
    """
    problems: list[Exception] = []
    for name in ("pycuda.driver", "ssd_edge.backends.cuda_python"):
        try:
            return importlib.import_module(name)
        except (ImportError, RuntimeError) as error:  # cuda-python raises the latter where there is no driver
            problems.append(error)
    raise MissingPackageError(
        "neither pycuda nor cuda-python is installed and matches this machine's CUDA driver",
        got="; ".join(map(str, problems)),
        wanted="cuda-python for the driver's CUDA version (12 or 13), or pycuda 2025.1.2 or later",
        do="Install it: pip install cuda-bindings (pycuda needs the CUDA toolkit's headers; see: ssd-edge doctor)",
    ) from problems[-1]
