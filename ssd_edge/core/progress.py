"""Progress of long work, reported to a callback; nothing here prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """Receives the progress of one stage."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """Report ``done`` of ``total`` parts (None: their number is not known), with a short note to show beside it."""


def silent(done: int, total: int | None, note: str = "") -> None:
    """Report nothing."""


@dataclass(frozen=True)
class ProgressEvent:
    """One report of a workflow.

    Attributes:
        stage: what is being done, e.g. ``calibrating``.
        done: parts that are finished.
        total: parts in all; None where their number is not known.
        note: a short text to show beside the figures, e.g. the loss.
        is_over: the stage has ended, completed or not; the last event of each stage.
    """

    stage: str
    done: int = 0
    total: int | None = None
    note: str = ""
    is_over: bool = False


ProgressCallback = Callable[[ProgressEvent], None]
"""Type of ``progress=`` in every workflow."""


def no_progress(event: ProgressEvent) -> None:
    """Ignore an event: the default of every workflow."""


@contextmanager
def stage(callback: ProgressCallback, name: str) -> Iterator[Progress]:
    """Yield the progress of one stage of a workflow; its first and last events are sent whatever happens in between."""
    latest = ProgressEvent(name)
    callback(latest)

    def report(done: int, total: int | None, note: str = "") -> None:
        nonlocal latest
        latest = ProgressEvent(name, done, total, note)
        callback(latest)

    try:
        yield report
    finally:
        callback(ProgressEvent(name, latest.done, latest.total, latest.note, is_over=True))
