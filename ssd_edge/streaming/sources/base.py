"""Interface of all sources."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from ssd_edge.core.frame import Frame
from ssd_edge.core.left_out import LeftOut
from ssd_edge.streaming.states import StreamMonitor

STILLS_FPS = 10.0
"""Rate at which images of files, which have no times of their own, follow one another."""


@dataclass(frozen=True)
class SourceInfo:
    """Facts about a source before its first frame.

    Attributes:
        name: the URI or path, without any password.
        live: frames come by themselves, so late ones are dropped; otherwise they wait to be read and none is lost.
        fps: frames a second, where the source says so.
        frames: how many there are; None where that is unknown or endless.
        stills: every frame is an image file of its own, which ``Frame.source`` names.
    """

    name: str
    live: bool
    fps: float | None = None
    frames: int | None = None
    stills: bool = False


class Source(ABC):
    """An open source; iterate over it once, on one thread.

    Attributes:
        info: what is known before the first frame.
        monitor: the state of the source, and counts of its frames.
        left_out: files that could not be read.
    """

    counts_frames = False
    """Whether it counts its frames in its monitor by itself; otherwise the code that iterates does."""

    def __init__(self, info: SourceInfo) -> None:
        self.info = info
        self.monitor = StreamMonitor(info.name)
        self._interrupted = threading.Event()
        self.left_out: tuple[LeftOut, ...] = ()

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the end, or until :meth:`interrupt`."""

    def interrupt(self) -> None:
        """Make the iteration end soon, waits included; may be called from any thread."""
        self._interrupted.set()

    def close(self) -> None:
        """Give back the file or device; after the iteration has ended."""
        self.interrupt()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
