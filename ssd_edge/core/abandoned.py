"""Threads that are left behind inside a library that cannot be stopped: the process must end without them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

_left_behind: list[threading.Thread] = []

Result = TypeVar("Result")


def run_interruptible(work: Callable[[], Result], stop: threading.Event, *, patience_s: float) -> Result:
    """Return what ``work`` returns, while Ctrl-C and SIGTERM are answered though it never comes back to Python.

    It runs on a thread of its own. When a signal unwinds the caller, ``stop`` is set; work that does not heed it within
    ``patience_s`` seconds is left behind, and :func:`end_process` then ends the process over its head. So it may
    write no file and hold nothing that is to be given back.

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


def end_process(code: int) -> None:
    """End the process at once where a thread was left behind: the exit handlers of its library would crash it."""
    if not any(thread.is_alive() for thread in _left_behind):
        return
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
