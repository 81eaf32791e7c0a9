"""A capture that may hang for ever, on a thread of its own.

OpenCV's GStreamer waits without end for a pipeline that does not start or stalls; from release 4.8 on, 30 s.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from typing import Any, TypeVar

import numpy.typing as npt

from ssd_edge.stream.capture import Capture

_RELEASE_S = 2.0
T = TypeVar("T")


class PatientCapture:
    """Asks a capture and waits so long for its answer, and no longer; after that it never asks again.

    A thread that OpenCV does not let go is left behind: nothing can end it, and it keeps no program from ending.

    Args:
        capture: what to ask, open.
        thread: where it was opened, and is asked.
        read_s: seconds that a picture may take.
    """

    def __init__(self, capture: Capture, thread: PatientThread, *, read_s: float) -> None:
        self._capture, self._thread, self._read_s = capture, thread, read_s

    def get(self, setting: int) -> float:
        """Return a property."""
        return self._capture.get(setting)

    def read(self) -> tuple[bool, npt.NDArray[Any] | None]:
        """Return (True, picture), or (False, None) where there is none, or none in time."""
        return self._thread.ask(self._capture.read, self._read_s) or (False, None)

    def release(self) -> None:
        """Give the device back; where it hangs, as soon as it hangs no more."""
        self._thread.end(self._capture.release)


class PatientThread:
    """A thread for calls that may never return."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._hangs = False
        self._thread = threading.Thread(target=self._work, name="ssd-edge-capture", daemon=True)
        self._thread.start()

    def ask(self, call: Callable[[], T], wait_s: float) -> T | None:
        """Return what ``call`` returns, or raise what it raises; None where it, or an earlier one, takes too long."""
        if self._hangs:
            return None
        try:
            return self._put(call).result(wait_s)
        except TimeoutError:
            self._hangs = True
            return None

    def end(self, last: Callable[[], object]) -> None:
        """Have ``last`` called after what still runs, and the thread end; wait for it where it does not hang."""
        self._put(last)
        self._calls.put(None)
        if not self._hangs:
            self._thread.join(_RELEASE_S)

    def _put(self, call: Callable[[], T]) -> Future[T]:
        answer: Future[T] = Future()
        self._calls.put((answer, call))
        return answer

    def _work(self) -> None:
        while (asked := self._calls.get()) is not None:
            answer, call = asked
            try:
                answer.set_result(call())
            except Exception as error:  # noqa: BLE001 - raised where it was asked
                answer.set_exception(error)


def open_patiently(opener: Callable[[], Capture | None], *, open_s: float, read_s: float) -> PatientCapture | None:
    """Return what ``opener`` opens; None where it cannot, or does not within ``open_s`` seconds."""
    thread = PatientThread()
    found: list[Capture] = []

    def keep() -> None:
        capture = opener()
        if capture is not None:
            found.append(capture)

    def release_late() -> None:
        for late in found:
            late.release()

    thread.ask(keep, open_s)
    if found:
        return PatientCapture(found[0], thread, read_s=read_s)
    thread.end(release_late)
    return None
