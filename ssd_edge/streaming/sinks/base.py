"""Interface of all sinks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.streaming.privacy import Blur


class _Closed(ABC):
    """Something that must be closed, whatever happens: what was written until then is kept and is whole.

    Attributes:
        written: frames that are kept for good; those of a video once it is closed.
        pieces: files that were begun, where they may be several.
        last: the latest of these.
    """

    written: int = 0
    pieces: int = 0
    last: Path | None = None

    @abstractmethod
    def close(self) -> None:
        """Finish what was written."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Sink(_Closed):
    """Takes every result, in order, on one thread.

    Attributes:
        needs_image: it looks at the frame's image. Where no sink does, a frame keeps the network's small one only.
    """

    needs_image: bool = True

    @abstractmethod
    def write(self, frame: Frame, detections: Detections) -> None:
        """Take what was found in a frame."""

    def __enter__(self) -> Sink:
        return self


class ImageSink(_Closed):
    """Takes every frame with its boxes drawn in, in order, on one thread."""

    @abstractmethod
    def show(self, frame: Frame, drawn: UInt8Array) -> None:
        """Take the drawn image of ``frame``; it must not be changed."""

    def __enter__(self) -> ImageSink:
        return self


class AnnotatedSink(Sink):
    """Draws the boxes once, for all sinks that show images.

    Args:
        sinks: closed by their owner.
        blur: makes some of the objects unrecognizable first; None for none.
    """

    def __init__(self, sinks: Sequence[ImageSink], blur: Blur | None = None) -> None:
        self._sinks, self._blur = sinks, blur

    def write(self, frame: Frame, detections: Detections) -> None:
        """Show the drawn frame to all; the frame itself stays as it is."""
        image = frame.image if self._blur is None else self._blur.apply(frame.image, detections)
        drawn = detections.plot(image)
        for sink in self._sinks:
            sink.show(frame, drawn)

    def close(self) -> None:
        """Nothing of its own is open."""
