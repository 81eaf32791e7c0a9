"""Interruptible calls: work that never comes back to Python is given up when a signal arrives."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

Result = TypeVar("Result")

_left_behind: list[threading.Thread] = []


def run_interruptible(work: Callable[[], Result], stop: threading.Event, *, patience_s: float) -> Result:
    """Return what ``work`` returns; a signal that raises in the caller is answered though ``work`` blocks.

    ``work`` runs on a thread of its own. When a signal unwinds the caller, ``stop`` is set. If ``work`` ignores it for
    ``patience_s`` seconds, its thread is abandoned, and :func:`end_process` ends the process without joining it;
    ``work`` must therefore not write files or own resources.

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
    """End the process at once where a thread was abandoned: the exit handlers of its library would crash it."""
    if not any(thread.is_alive() for thread in _left_behind):
        return
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
