"""Tracking in a pipeline: in order whatever the workers do, with weak detections, and until the source begins anew."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.detector import Detector
from ssd_edge.core.detections import Detections
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.streaming.engine_slot import EngineSlot
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.running_stream import Stream
from ssd_edge.streaming.sources.base import Source, SourceInfo
from ssd_edge.streaming.tracking.stream_tracker import ObjectCounter, StreamTracker
from ssd_edge.streaming.tracking.tracker import Tracker
from tests.streaming.test_pipeline import SIZE, FakeBackend, Kept
from tests.streaming.tracking.test_tracker import at, ids, seen

VIDEO, STILLS = SourceInfo("video", live=False), SourceInfo("photos", live=False, stills=True)


def frame(index: int, seconds: float, **values: object) -> Frame:
    return replace(Frame(np.zeros((720, 1280, 3), np.uint8), index, 0.0, "video", seconds), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"segment": 1}, {"image": np.zeros((360, 640, 3), np.uint8)}])
def test_tracks_end_where_the_source_begins_anew_or_changes_its_size(change: dict[str, object]) -> None:
    tracker = StreamTracker(Tracker(), VIDEO)
    assert [ids(tracker.update(frame(n, n / 25), seen(at(0)))) for n in range(3)] == [[1]] * 3
    assert [ids(tracker.update(frame(n, n / 25, **change), seen(at(0)))) for n in range(3, 6)] == [[2]] * 3


def test_a_reduced_image_is_no_other_size() -> None:
    tracker = StreamTracker(Tracker(), VIDEO)
    tracker.update(frame(0, 0.0), seen(at(0)))
    small = frame(1, 0.04, image=np.zeros((64, 64, 3), np.uint8), original_size=(1280, 720))
    assert ids(tracker.update(small, seen(at(0)))) == [1]


@pytest.mark.parametrize(("info", "kept"), [(STILLS, True), (VIDEO, False)])
def test_images_of_files_have_the_times_of_their_numbers(info: SourceInfo, kept: bool) -> None:
    """They are read as fast as the disk is: 20 ms a megabyte, or seconds over a network."""
    tracker = StreamTracker(Tracker(), info)
    for n in range(10):
        tracker.update(frame(n, n / 1000), seen(at(0)))
    assert ids(tracker.update(frame(10, 3.0), seen(at(0)))) == [1 if kept else 2]


def test_each_object_is_counted_once() -> None:
    tracker, counter = Tracker(), ObjectCounter()
    scenes = [
        seen(at(0), at(300), class_ids=[0, 1]),
        seen(at(300), at(0), class_ids=[1, 0]),
        seen(),
        seen(at(900), at(0), class_ids=[1, 0]),
    ]
    for number, detections in enumerate(scenes):
        counter.write(frame(number, number / 25), tracker.update(detections, number / 25))
    counter.write(frame(9, 1.0), seen(at(0)))  # no ids: nobody tracks
    assert counter.counts == {"person": 1, "car": 2}


@dataclass
class Flicker(FakeBackend):
    """Finds one object, strongly in frames of even level and weakly in the others; later frames may be ready first."""

    scores: list[float] = field(default_factory=list)

    def infer(self, batch: UInt8Array) -> RawOutputs:
        level = int(batch[0, 0, 0, 0])
        time.sleep(0.004 if level % self.workers == 0 else 0.0)
        boxes, scores, classes = np.zeros((1, 3, 4), np.float32), np.zeros((1, 3), np.float32), -np.ones((1, 3))
        boxes[0, 0] = [0.01 * level, 0.2, 0.01 * level + 0.2, 0.6]
        scores[0, 0], classes[0, 0] = 0.2 if level % 2 else 0.9, 1
        return RawOutputs(np.ones((1, 1), np.int32), boxes, scores, classes.astype(np.float32))


class Moving(Source):
    def __init__(self, frames: int, every: int = 1) -> None:
        super().__init__(SourceInfo("moving", live=False, frames=frames))
        self._frames = range(0, frames, every)

    def __iter__(self) -> Iterator[Frame]:
        for index in self._frames:
            image = np.full((SIZE, SIZE, 3), index, np.uint8)
            yield Frame(image, index, time.monotonic(), "moving", index / 25)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("every", [1, 3])
def test_the_frames_of_several_workers_are_tracked_in_order(workers: int, every: int) -> None:
    kept, tracker = Kept(), StreamTracker(Tracker(), VIDEO)
    slot = EngineSlot(Detector(Flicker(workers), 0.5), score_threshold=0.1)
    Pipeline([Stream(Moving(60, every), [kept], tracker=tracker)], slot).run()
    assert kept.frames == list(range(0, 60, every))
    assert [ids(found) for found in kept.found] == [[1]] * len(kept.frames)
    assert {round(float(found.scores[0]), 1) for found in kept.found} == {0.9, 0.2}


def test_without_a_tracker_the_filter_decides_as_before() -> None:
    kept = Kept()
    Pipeline([Stream(Moving(10), [kept])], Detector(Flicker(), 0.5)).run()
    assert [len(found) for found in kept.found] == [1, 0] * 5
    assert all(found.track_ids is None for found in kept.found)
    assert isinstance(kept.found[0], Detections)
