"""Interruptible calls: work that never comes back to Python is given up when a signal arrives."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

Result = TypeVar("Result")

_AT_EXIT_S = 3.0  # that a program's end waits for threads left behind, all of them together

_left_behind: list[threading.Thread] = []


def run_interruptible(work: Callable[[], Result], stop: threading.Event, *, patience_s: float) -> Result:
    """Return what ``work`` returns; a signal that raises in the caller is answered though ``work`` blocks.

    ``work`` runs on a thread of its own. When a signal unwinds the caller, ``stop`` is set. If ``work`` ignores it for
    ``patience_s`` seconds, its thread is abandoned (:func:`is_work_abandoned`), and a command ends its process without
    joining it; ``work`` must therefore not write files or own resources.

    Raises:
        Exception: what ``work`` raises.
    """
    outcome: Future[Result] = Future()

    def carry() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            outcome.set_exception(error)

    thread = threading.Thread(target=carry, name="ssd-edge-interruptible", daemon=True)
    try:
        thread.start()
        return outcome.result()
    finally:
        if not outcome.done():
            stop.set()
            _left_behind.append(thread)
            wait([outcome], patience_s)


def is_work_abandoned() -> bool:
    """Whether a thread that was given up still works: the exit handlers of its library would crash the process."""
    return any(thread.is_alive() for thread in _left_behind)


def leave_behind(thread: threading.Thread) -> None:
    """Note a daemon thread that hangs in a library; a command ends its process without joining it.

    A program that ends normally waits for it some seconds: the exit handlers of GStreamer crash a process whose thread
    is still closing a pipeline.
    """
    _left_behind[:] = [old for old in _left_behind if old.is_alive()]
    _left_behind.append(thread)


@atexit.register
def _wait_at_exit() -> None:
    due = time.monotonic() + _AT_EXIT_S
    for thread in _left_behind:
        thread.join(max(0.0, due - time.monotonic()))
