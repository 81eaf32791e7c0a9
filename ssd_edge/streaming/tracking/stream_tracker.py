"""Tracking in a stream: its frames say when tracks end, and its objects are counted."""

from __future__ import annotations

from collections import Counter

from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.streaming.sources.base import STILLS_FPS, SourceInfo
from ssd_edge.streaming.tracking.tracker import Tracker


class StreamTracker:
    """Tracks the objects of one stream; its frames come in order.

    All tracks end where the source was opened again, began again with its first frame, or changed the frames' size.

    Args:
        tracker: gives the ids.
        info: of the source; images of files that are not played as a camera count as ten a second.
    """

    def __init__(self, tracker: Tracker, info: SourceInfo) -> None:
        self._tracker = tracker
        self._by_number = info.stills and not info.live
        self._sequence: tuple[int, int, int] | None = None

    def update(self, frame: Frame, detections: Detections) -> Detections:
        """Return the detections of a frame that are reported, with their ids."""
        sequence = (frame.segment, frame.width, frame.height)
        if sequence != self._sequence:
            self._sequence = sequence
            self._tracker.reset()
        return self._tracker.update(detections, frame.index / STILLS_FPS if self._by_number else frame.time)


class ObjectCounter(Sink):
    """Counts the objects of a tracked stream by their labels, each once.

    Attributes:
        counts: so far.
    """

    needs_image = False

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._highest = 0

    def write(self, frame: Frame, detections: Detections) -> None:  # noqa: ARG002 - others write the frame
        """Count the objects that were not seen before: ids rise."""
        if detections.track_ids is not None and len(detections):
            is_new = detections.track_ids > self._highest
            self.counts.update(detections[is_new].labels)
            self._highest = max(self._highest, int(detections.track_ids.max()))

    def close(self) -> None:
        """Nothing is open."""
