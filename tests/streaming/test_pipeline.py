from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.detector import Detector, open_detector
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError, DeviceError, InputError
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.running_stream import Stream
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.streaming.sources.base import Source, SourceInfo
from ssd_edge.streaming.sources.factory import open_source
from ssd_edge.streaming.states import StreamReason, StreamState
from ssd_edge.streaming.timing import STAGES
from tests.backends.tiny_onnx import SCORE, SIZE, tiny_spec, write_tiny_onnx
from tests.streaming.films import write_bright_film, write_film

EMPTY = RawOutputs(
    np.zeros((1, 1), np.int32),
    np.zeros((1, 3, 4), np.float32),
    np.zeros((1, 3), np.float32),
    -np.ones((1, 3), np.float32),
)


@dataclass
class FakeBackend:
    """Finds nothing; ``on_frame`` is called with the level of the image on the thread that infers."""

    workers: int = 1
    path = Path("fake.onnx")
    batch_limits = (1, None)
    on_frame: Callable[[int], None] = lambda _: None
    spec = tiny_spec()

    def infer(self, batch: UInt8Array) -> RawOutputs:
        self.on_frame(int(batch[0, 0, 0, 0]))
        return EMPTY

    def close(self) -> None:
        pass


class Count(Source):
    """Frames whose level is their number, as fast as they are taken; then perhaps an error."""

    def __init__(self, frames: int, *, live: bool = False, error: Exception | None = None) -> None:
        super().__init__(SourceInfo("count", live=live, frames=frames))
        self.count, self.error, self.given = frames, error, 0

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.count):
            if self._interrupted.is_set():
                return
            self.given = index + 1
            yield Frame(np.full((SIZE, SIZE, 3), index % 256, np.uint8), index, time.monotonic(), "count")
        if self.error is not None:
            raise self.error


@dataclass
class Kept(Sink):
    on_write: Callable[[Frame], None] = lambda _: None
    frames: list[int] = field(default_factory=list)
    found: list[Detections] = field(default_factory=list)

    def write(self, frame: Frame, detections: Detections) -> None:
        self.on_write(frame)
        self.frames.append(frame.index)
        self.found.append(detections)

    def close(self) -> None:
        pass


def reason_of(source: Source) -> StreamReason | None:
    assert source.monitor.state is StreamState.STOPPED
    return source.monitor.status.reason


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_every_frame_of_a_film_is_detected_in_order(tmp_path: Path) -> None:
    film = write_bright_film(tmp_path / "video.mp4", 20)
    kept = Kept()
    reports: list[tuple[int, int | None]] = []
    with open_source(str(film)) as source, open_detector(write_tiny_onnx(tmp_path / "tiny.onnx")) as detector:
        summary = Pipeline(
            [Stream(source, [kept])], detector, progress=lambda done, total, note="": reports.append((done, total))
        ).run()
    assert kept.frames == list(range(20))
    assert reports == [(done, 20) for done in range(1, 21)]
    for found in kept.found:
        np.testing.assert_allclose(found.boxes, [[0, 0, 32, 32]], atol=2)
        assert found.scores.tolist() == [SCORE]
    assert (summary.frames, summary.dropped, summary.stopped) == (20, 0, False)
    assert summary.fps == pytest.approx(20 / summary.seconds)
    assert [times.stage for times in summary.stages] == list(STAGES)
    assert all(times.count == 20 for times in summary.stages)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_several_workers_keep_the_order(workers: int) -> None:
    def uneven(level: int) -> None:
        time.sleep(0.004 if level % workers == 0 else 0.0)

    kept = Kept()
    summary = Pipeline([Stream(Count(60), [kept])], Detector(FakeBackend(workers, uneven))).run()
    assert kept.frames == list(range(60))
    assert summary.frames == 60


def test_workers_are_busy_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=10)
    kept = Kept()
    warmed: list[int] = []

    def meet(level: int) -> None:
        if not warmed:
            warmed.append(level)  # the first call is the warm-up, before there are workers
        else:
            together.wait()

    Pipeline([Stream(Count(9), [kept])], Detector(FakeBackend(3, meet))).run()
    assert kept.frames == list(range(9))


def test_capture_goes_on_while_a_frame_is_inferred_and_another_written() -> None:
    inferring, writing = threading.Event(), threading.Event()
    overlapped: list[int] = []

    def infer(level: int) -> None:
        if level == 1:
            inferring.set()
            assert writing.wait(10)

    def write(frame: Frame) -> None:
        if frame.index == 0:
            assert inferring.wait(10)
            overlapped.append(source.given)
            writing.set()

    source = Count(6)
    Pipeline([Stream(source, [Kept(write)])], Detector(FakeBackend(1, infer))).run()
    assert overlapped[0] >= 2


def test_a_live_source_drops_old_frames_and_the_newest_is_seen() -> None:
    source = Count(200, live=True)
    all_given = threading.Event()

    def slow(level: int) -> None:
        if source.given:
            all_given.wait(0.05)
            if source.given == 200:
                all_given.set()

    kept = Kept()
    summary = Pipeline([Stream(source, [kept])], Detector(FakeBackend(1, slow))).run()
    assert kept.frames == sorted(kept.frames)
    assert kept.frames[-1] == 199
    assert summary.dropped > 0
    assert summary.frames + summary.dropped == 200


def test_an_error_of_the_source_comes_after_the_results_before_it() -> None:
    kept = Kept()
    with pytest.raises(DeviceError, match="camera 0 stopped"):
        Pipeline([Stream(Count(7, error=DeviceError("camera 0 stopped")), [kept])], Detector(FakeBackend())).run()
    assert kept.frames == list(range(7))


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_of_the_model_ends_every_thread(workers: int) -> None:
    def fail(level: int) -> None:
        if level == 5:
            raise ArtifactError("the graph failed")

    kept = Kept()
    source = Count(10_000)
    with pytest.raises(ArtifactError, match="the graph failed"):
        Pipeline([Stream(source, [kept])], Detector(FakeBackend(workers, fail))).run()
    assert kept.frames == list(range(5))
    assert source.given < 100
    assert reason_of(source) is StreamReason.ERROR


def test_an_error_of_the_model_is_no_end_of_a_source_but_of_one_that_had_ended() -> None:
    short, endless = Count(3), Count(10**9)

    def fail(level: int) -> None:
        if level == 50:
            raise ArtifactError("the graph failed")

    with pytest.raises(ArtifactError, match="the graph failed"):
        Pipeline([Stream(short, [Kept()]), Stream(endless, [Kept()])], Detector(FakeBackend(on_frame=fail))).run()
    assert (reason_of(short), reason_of(endless)) == (StreamReason.END, StreamReason.ERROR)


def test_an_error_of_a_sink_ends_every_thread() -> None:
    def fail(frame: Frame) -> None:
        if frame.index == 3:
            raise InputError("the disk is full")

    source = Count(10_000)
    with pytest.raises(InputError, match="the disk is full"):
        Pipeline([Stream(source, [Kept(fail)])], Detector(FakeBackend(2))).run()
    assert source.given < 100
    assert reason_of(source) is StreamReason.ERROR


@pytest.mark.parametrize("live", [False, True])
def test_a_stop_ends_an_endless_run_in_good_order(live: bool) -> None:
    stop = StopRequest()

    def ask(frame: Frame) -> None:
        if frame.index >= 5:
            stop.request()

    kept = Kept(ask)
    summary = Pipeline([Stream(Count(10**9, live=live), [kept])], Detector(FakeBackend()), stop=stop).run()
    assert summary.stopped
    assert summary.frames == len(kept.frames) >= 1


def test_a_stop_is_seen_though_no_frame_comes() -> None:
    class Silent(Count):
        def __iter__(self) -> Iterator[Frame]:
            self._interrupted.wait()
            yield from ()

    stop = StopRequest()
    timer = threading.Timer(0.05, stop.request)
    timer.start()
    summary = Pipeline([Stream(Silent(1, live=True), [])], Detector(FakeBackend()), stop=stop).run()
    timer.join()
    assert (summary.frames, summary.fps, summary.stopped) == (0, 0.0, True)


def test_max_frames_ends_the_run(tmp_path: Path) -> None:
    film = write_film(tmp_path / "video.mp4", 10)
    kept = Kept()
    with open_source(str(film), loop=True) as source:
        summary = Pipeline([Stream(source, [kept], max_frames=13)], Detector(FakeBackend())).run()
    assert kept.frames == list(range(13))
    assert not summary.stopped


@pytest.mark.parametrize(
    ("frames", "max_frames", "total"), [(None, None, None), (None, 2, 2), (3, None, 3), (3, 2, 2), (3, 9, 3)]
)
def test_the_total_is_what_is_known_of_the_end(frames: int | None, max_frames: int | None, total: int | None) -> None:
    source = Count(3)
    source.info = SourceInfo("count", live=False, frames=frames)
    totals: list[int | None] = []
    Pipeline(
        [Stream(source, max_frames=max_frames)],
        Detector(FakeBackend()),
        progress=lambda done, total, note="": totals.append(total),
    ).run()
    assert set(totals) == {total}


def test_opencv_has_one_thread_a_call_while_streams_run_and_its_own_number_afterwards() -> None:
    before, seen = cv2.getNumThreads(), []
    cv2.setNumThreads(3)
    try:
        model = FakeBackend(on_frame=lambda _: seen.append(cv2.getNumThreads()))
        Pipeline([Stream(Count(3), [Kept()])], Detector(model)).run()
        assert (set(seen), cv2.getNumThreads()) == ({1}, 3)
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize("needs_image", [True, False])
def test_the_full_image_goes_as_far_as_a_sink_needs_it(tmp_path: Path, needs_image: bool) -> None:
    path = write_bright_film(tmp_path / "video.mp4", 3, size=(128, 96))
    sizes: list[tuple[tuple[int, ...], int, int]] = []
    sink = Kept(on_write=lambda frame: sizes.append((frame.image.shape[:2], frame.width, frame.height)))
    sink.needs_image = needs_image
    with open_source(str(path)) as source, open_detector(write_tiny_onnx(tmp_path / "m.onnx")) as detector:
        Pipeline([Stream(source, [sink])], detector).run()
    assert sizes == [((96, 128) if needs_image else (SIZE, SIZE), 128, 96)] * 3
    left, top, right, bottom = sink.found[0].boxes[0]
    assert (left, top) == (0, 0)
    assert (right, bottom) == pytest.approx((32, 48), abs=3)


def test_results_have_the_full_image_though_no_sink_needs_it(tmp_path: Path) -> None:
    path = write_bright_film(tmp_path / "video.mp4", 3, size=(128, 96))
    with open_source(str(path)) as source, open_detector(write_tiny_onnx(tmp_path / "m.onnx")) as detector:
        found = list(Pipeline([Stream(source)], detector).results())
    assert [result.captured.frame.image.shape for result in found] == [(96, 128, 3)] * 3
