"""Outputs that fail alone: one that its disk refuses ends, and the rest of the run goes on, or all ends, as asked."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ssd_edge.core.choices import OnFailure
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import SsdEdgeError
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.core.left_out import LeftOut
from ssd_edge.core.sparing_log import SparingLog
from ssd_edge.streaming.sinks.base import ImageSink, Sink

RETRY_S = 10.0
"""Seconds until an output that is cut into pieces tries to begin another one."""


@dataclass(eq=False)
class _Output:
    name: str
    retries: bool
    retry_at: float | None = None
    lost: int = 0
    why: str = ""
    log: SparingLog = field(default_factory=SparingLog)

    @property
    def ended(self) -> bool:
        return self.retry_at is not None and not self.retries


@dataclass
class OutputGroup:
    """The outputs of one stream, and which of them have failed.

    Attributes:
        on_failure: what becomes of the stream when one fails.
    """

    on_failure: OnFailure = OnFailure.GO_ON
    _outputs: list[_Output] = field(default_factory=list)

    def sink(self, sink: Sink, name: str, *, retries: bool = False) -> Sink:
        """Return the sink as one that fails alone.

        Args:
            sink: closed by its owner.
            name: what it writes, for messages.
            retries: it can begin another file later, where there is room again.
        """
        return _LastingSink(sink, self, self._added(name, retries))

    def images(self, sink: ImageSink, name: str, *, retries: bool = False) -> ImageSink:
        """Return a sink of drawn frames as one that fails alone; see :meth:`sink`."""
        return _LastingPictures(sink, self, self._added(name, retries))

    def left_out(self) -> tuple[LeftOut, ...]:
        """Return each output that lacks frames, with the reason."""
        return tuple(
            LeftOut(output.name, f"{output.lost} frames are not in it: {output.why}")
            for output in self._outputs
            if output.lost
        )

    def attempt(self, output: _Output, write: Callable[[], None]) -> bool:
        """Write one frame to an output; return whether that was done.

        Raises:
            SsdEdgeError: it failed, and the run is to stop, or nothing else is left that could be written.
        """
        if output.retry_at is not None and (not output.retries or time.monotonic() < output.retry_at):
            output.lost += 1
            return False
        try:
            write()
        except SsdEdgeError as error:
            self._fail(output, error)
            return False
        if output.retry_at is not None:
            text = f"{output.name} goes on: {output.lost} frames are not in it"
            output.log.write(logging.WARNING, "goes on", text)
            output.retry_at = None
        return True

    def _added(self, name: str, retries: bool) -> _Output:
        self._outputs.append(_Output(name, retries))
        return self._outputs[-1]

    def _fail(self, output: _Output, error: SsdEdgeError) -> None:
        again = output.retry_at is not None
        output.lost += 1
        output.why = getattr(error.__cause__, "strerror", None) or error.got or error.what
        output.retry_at = time.monotonic() + RETRY_S
        is_gone = isinstance(error.__cause__, BrokenPipeError)  # the reader has left, as head does
        if self.on_failure is OnFailure.STOP or is_gone or all(other.ended for other in self._outputs):
            raise error
        if not again:
            rest = f"it is tried again every {RETRY_S:g} s" if output.retries else "the rest goes on without it"
            output.log.write(logging.WARNING, "fails", f"{error} Meanwhile {rest}.")


class _LastingSink(Sink):
    def __init__(self, sink: Sink, group: OutputGroup, output: _Output) -> None:
        self._sink, self._group, self._output = sink, group, output
        self.needs_image = sink.needs_image

    def write(self, frame: Frame, detections: Detections) -> None:
        """Write to the sink, unless it has ended."""
        self._group.attempt(self._output, lambda: self._sink.write(frame, detections))

    def close(self) -> None:
        """Its owner closes the sink."""


class _LastingPictures(ImageSink):
    def __init__(self, sink: ImageSink, group: OutputGroup, output: _Output) -> None:
        self._sink, self._group, self._output = sink, group, output

    def show(self, frame: Frame, drawn: UInt8Array) -> None:
        """Show to the sink, unless it has ended."""
        self._group.attempt(self._output, lambda: self._sink.show(frame, drawn))

    def close(self) -> None:
        """Its owner closes the sink."""
