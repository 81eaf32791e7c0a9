"""Streams, events and buffers, as the runtime uses them: what pycuda's are like, without importing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt


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
        """Tell whether the stream has passed it."""

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
