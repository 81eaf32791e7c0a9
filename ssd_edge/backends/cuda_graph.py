"""CUDA graphs by the driver itself: pycuda has no call for them, but its stream's handle is the driver's."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from ssd_edge.backends.held import hold

_LIBRARY = "libcuda.so.1"
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do does not spoil the capture


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
            raise CaptureError(self._meaning("cuStreamEndCapture", ended) if ended else "TensorRT refused")
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
