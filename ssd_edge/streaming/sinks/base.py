"""Where results go: what every sink looks like."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame, UInt8Array


class _Closed(ABC):
    """Something that must be closed, whatever happens: what was written until then is kept and is whole.

    Attributes:
        written: frames that are kept for good; those of a film once it is closed.
    """

    written: int = 0

    @abstractmethod
    def close(self) -> None:
        """Finish what was written."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Sink(_Closed):
    """Takes every result, in order, on one thread."""

    @abstractmethod
    def write(self, frame: Frame, detections: Detections) -> None:
        """Take what was found in a frame."""

    def __enter__(self) -> Sink:
        return self


class PictureSink(_Closed):
    """Takes every frame with its boxes drawn in, in order, on one thread."""

    @abstractmethod
    def show(self, frame: Frame, picture: UInt8Array) -> None:
        """Take the drawn picture of ``frame``; it must not be changed."""

    def __enter__(self) -> PictureSink:
        return self


class AnnotatedSink(Sink):
    """Draws the boxes once, for all sinks that show images.

    Args:
        pictures: closed by their owner.
    """

    def __init__(self, pictures: Sequence[PictureSink]) -> None:
        self._pictures = pictures

    def write(self, frame: Frame, detections: Detections) -> None:
        """Show the drawn frame to all; the frame itself stays as it is."""
        picture = detections.plot(frame.image)
        for sink in self._pictures:
            sink.show(frame, picture)

    def close(self) -> None:
        """Nothing of its own is open."""
