"""Inferences that lie on a stream: the driver runs them by number, so that a destroyed context is noticed."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from itertools import count

_jobs: dict[int, Callable[[], None]] = {}
_numbers = count(1)


def add_job(work: Callable[[], None]) -> int:
    """Return the number of a job."""
    number = next(_numbers)
    _jobs[number] = work
    return number


def drop_jobs(numbers: list[int]) -> None:
    """Forget jobs whose execution context is gone."""
    for number in numbers:
        _jobs.pop(number, None)


def _run(number: int) -> None:
    job = _jobs.get(number)
    if job is None:
        ctypes.CDLL("libcuda.so.1").emu_fault(b"inference in an execution context that is destroyed")
        return
    job()


RUN_JOB = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_run)
