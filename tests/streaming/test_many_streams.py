"""Several streams in one pipeline: none of them can hold up, or take away from, the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from ssd_edge.backends.base import RawOutputs
from ssd_edge.backends.detector import Detector
from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError, DeviceError, InferenceHangError, InputError
from ssd_edge.core.frame import Frame, UInt8Array
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.batcher import Captured
from ssd_edge.streaming.engine_slot import EngineSlot
from ssd_edge.streaming.pipeline import Pipeline
from ssd_edge.streaming.running_stream import Stream
from ssd_edge.streaming.states import StreamReason, StreamState
from ssd_edge.streaming.tracking.stream_tracker import StreamTracker
from ssd_edge.streaming.tracking.tracker import Tracker
from tests.streaming.test_pipeline import EMPTY, Count, FakeBackend, Kept

LIMIT_S = 10.0


class Batches(FakeBackend):
    """Notes the sizes of batches."""

    def __init__(self, *, workers: int = 1, limits: tuple[int, int | None] = (1, None)) -> None:
        super().__init__(workers)
        self.batch_limits = limits  # type: ignore[assignment]
        self.sizes: list[int] = []
        self.closed = 0

    def infer(self, batch: UInt8Array) -> RawOutputs:
        self.on_frame(int(batch[0, 0, 0, 0]))
        self.sizes.append(len(batch))
        return RawOutputs(*(column.repeat(len(batch), axis=0) for column in EMPTY))

    def close(self) -> None:
        self.closed += 1


class Endless(Count):
    """A live source of a hundred frames a second."""

    def __init__(self) -> None:
        super().__init__(10**9, live=True)

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            if self._interrupted.wait(0.01):
                return
            yield frame


def test_every_frame_of_every_file_is_written_in_order_in_batches() -> None:
    backend, kept = Batches(), [Kept() for _ in range(3)]
    streams = [Stream(Count(40), [sink], name=str(number)) for number, sink in enumerate(kept)]
    summary = Pipeline(streams, Detector(backend), max_batch=3, batch_wait_s=0.2).run()
    assert [sink.frames for sink in kept] == [list(range(40))] * 3
    assert summary.frames == 120
    assert max(backend.sizes) == 3
    assert sum(backend.sizes[1:]) == 120  # the first was the warm-up


def test_an_engine_of_a_fixed_batch_is_filled_up() -> None:
    backend, kept = Batches(limits=(4, 4)), [Kept(), Kept()]
    Pipeline([Stream(Count(5), [sink]) for sink in kept], Detector(backend), max_batch=8).run()
    assert [sink.frames for sink in kept] == [list(range(5))] * 2
    assert set(backend.sizes) == {4}


@pytest.mark.parametrize("fault", ["source", "sink"])
def test_a_stream_that_fails_ends_alone(fault: str) -> None:
    def refuse(frame: Frame) -> None:
        if frame.index == 3 and fault == "sink":
            raise InputError("the disk is full")

    bad = Count(5, error=DeviceError("camera 0 stopped") if fault == "source" else None)
    good, broken = Kept(), Kept(refuse)
    pipeline = Pipeline([Stream(Count(200), [good]), Stream(bad, [broken])], Detector(FakeBackend(2)))
    assert pipeline.run().frames == 200 + len(broken.frames)
    assert good.frames == list(range(200))
    assert broken.frames == list(range(5 if fault == "source" else 3))
    assert str(pipeline.error_of(bad)) == ("camera 0 stopped" if fault == "source" else "the disk is full")
    assert bad.monitor.status.state is StreamState.STOPPED


class Broken(StreamTracker):
    """Fails in the fourth frame."""

    def update(self, frame: Frame, detections: Detections) -> Detections:
        if frame.index == 3:
            raise InputError("the time is no number")
        return super().update(frame, detections)


@pytest.mark.parametrize("how", ["run", "results"])
def test_a_tracker_that_fails_ends_its_own_stream_only(how: str) -> None:
    bad, good = Count(5), Count(200)
    info, kept = bad.info, {"good": Kept(), "bad": Kept()}
    streams = [
        Stream(good, [kept["good"]], tracker=StreamTracker(Tracker(), info), name="good"),
        Stream(bad, [kept["bad"]], tracker=Broken(Tracker(), info), name="bad"),
    ]
    pipeline = Pipeline(streams, Detector(FakeBackend(2)))
    if how == "run":
        pipeline.run()
    else:
        for result in pipeline.results():
            kept[result.stream.name].write(result.captured.frame, result.detections)
    assert kept["good"].frames == list(range(200))
    assert all(found.track_ids is not None for found in kept["good"].found)
    assert kept["bad"].frames == [0, 1, 2]
    assert str(pipeline.error_of(bad)) == "the time is no number"
    assert bad.monitor.status.state is StreamState.STOPPED


def test_a_tracker_that_fails_in_the_only_stream_is_an_error_after_the_results_before_it() -> None:
    source, seen = Count(50), []
    pipeline = Pipeline([Stream(source, tracker=Broken(Tracker(), source.info))], Detector(FakeBackend(2)))
    with pytest.raises(InputError, match="no number"):
        for result in pipeline.results():
            seen.append(result.number)
    assert seen == [0, 1, 2]
    source, kept = Count(50), Kept()
    pipeline = Pipeline([Stream(source, [kept], tracker=Broken(Tracker(), source.info))], Detector(FakeBackend(2)))
    with pytest.raises(InputError, match="no number"):
        pipeline.run()
    assert kept.frames == [0, 1, 2]


def test_a_slow_tracker_slows_its_own_stream_only() -> None:
    release, stop = threading.Event(), StopRequest()

    class Slow(StreamTracker):
        def update(self, frame: Frame, detections: Detections) -> Detections:
            release.wait(LIMIT_S)
            return super().update(frame, detections)

    def enough(frame: Frame) -> None:
        if frame.index == 30:
            meanwhile.append(len(slow.frames))
            release.set()
            stop.request()

    slow, fast, meanwhile = Kept(), Kept(enough), list[int]()
    streams = [
        Stream(Endless(), [slow], tracker=Slow(Tracker(), Endless().info)),
        Stream(Endless(), [fast], tracker=StreamTracker(Tracker(), Endless().info)),
    ]
    Pipeline(streams, Detector(FakeBackend()), stop=stop).run()
    assert meanwhile == [0]


def test_a_slow_output_slows_its_own_stream_only() -> None:
    release, stop = threading.Event(), StopRequest()
    slow = Kept(lambda _: release.wait(LIMIT_S) and None)
    meanwhile: list[int] = []

    def enough(frame: Frame) -> None:
        if frame.index == 30:
            meanwhile.append(len(slow.frames))
            release.set()
            stop.request()

    fast = Kept(enough)
    Pipeline([Stream(Endless(), [slow]), Stream(Endless(), [fast])], Detector(FakeBackend()), stop=stop).run()
    assert fast.frames[-1] >= 30
    assert meanwhile in ([0], [1])  # it hung in its first frame all the while


def test_shares_are_equal_where_the_engine_is_too_slow() -> None:
    stop, kept = StopRequest(), [Kept() for _ in range(4)]
    backend = Batches()
    backend.on_frame = lambda _: time.sleep(0.004)
    timer = threading.Timer(1.2, stop.request)
    timer.start()
    Pipeline([Stream(Endless(), [sink]) for sink in kept], Detector(backend), stop=stop).run()
    timer.join()
    counts = [len(sink.frames) for sink in kept]
    jain = sum(counts) ** 2 / (len(counts) * sum(count**2 for count in counts))
    assert jain >= 0.99, counts


@pytest.mark.parametrize("streams", [1, 2])
def test_an_inference_that_hangs_is_an_error_after_what_came_before(streams: int) -> None:
    hang = threading.Event()
    backend = Batches()

    def block(level: int) -> None:
        if level == 5:
            hang.wait(LIMIT_S)

    backend.on_frame = block
    kept, sources = [Kept() for _ in range(streams)], [Count(100) for _ in range(streams)]
    slot = EngineSlot(Detector(backend), owns=True)
    began = time.monotonic()
    with pytest.raises(InferenceHangError, match=r"fake\.onnx has hung"):
        Pipeline([Stream(source, [sink]) for source, sink in zip(sources, kept, strict=True)], slot, hang_s=0.3).run()
    slot.close()
    assert {source.monitor.status.reason for source in sources} == {StreamReason.ERROR}
    assert time.monotonic() - began < 4
    assert backend.closed == 0  # whoever hangs in it would crash
    assert all(sink.frames == list(range(len(sink.frames))) for sink in kept)
    assert max(len(sink.frames) for sink in kept) == 5
    hang.set()


@pytest.mark.parametrize("streams", [1, 2])
def test_a_stop_is_answered_though_the_inference_hangs(streams: int) -> None:
    hang, stop = threading.Event(), StopRequest()
    backend = Batches()
    backend.on_frame = lambda level: hang.wait(LIMIT_S) and None if level == 3 else None
    threading.Timer(0.3, stop.request).start()
    began = time.monotonic()
    kept = [Kept() for _ in range(streams)]
    summary = Pipeline([Stream(Count(10), [sink]) for sink in kept], Detector(backend), stop=stop).run()
    assert time.monotonic() - began < 2.3
    assert summary.stopped
    assert summary.frames == sum(len(sink.frames) for sink in kept)
    assert all(sink.frames == list(range(len(sink.frames))) for sink in kept)
    assert max(len(sink.frames) for sink in kept) == 3
    hang.set()


def test_streams_come_and_go_while_others_run() -> None:
    stop, kept = StopRequest(), {name: Kept() for name in "abc"}
    pipeline = Pipeline(
        [Stream(Endless(), [kept[name]], name=name) for name in "ab"], Detector(FakeBackend()), stop=stop, dynamic=True
    )
    runner = threading.Thread(target=pipeline.run)
    runner.start()
    _until(lambda: len(kept["a"].frames) > 5)
    pipeline.remove("a")
    ended = len(kept["a"].frames)
    pipeline.add(Stream(Endless(), [kept["c"]], name="c"))
    _until(lambda: len(kept["c"].frames) > 5)
    before = len(kept["b"].frames)
    _until(lambda: len(kept["b"].frames) > before)
    stop.request()
    runner.join(LIMIT_S)
    assert not runner.is_alive()
    assert len(kept["a"].frames) == ended


def test_another_engine_takes_over_between_frames() -> None:
    old, new = Batches(), Batches()
    slot, stop, kept = EngineSlot(Detector(old)), StopRequest(), Kept()
    runner = threading.Thread(target=Pipeline([Stream(Endless(), [kept])], slot, stop=stop).run)
    runner.start()
    _until(lambda: len(kept.frames) > 3)
    assert slot.replace(lambda: Detector(new))
    _until(lambda: old.closed == 1)
    used = len(old.sizes)
    _until(lambda: len(new.sizes) > 20)
    stop.request()
    runner.join(LIMIT_S)
    assert len(old.sizes) == used
    assert len(kept.frames) >= len(new.sizes) - 2
    slot.close()
    assert new.closed == 1


def test_an_engine_that_fails_at_its_beginning_is_undone_and_no_frame_is_lost() -> None:
    old, new = Batches(), Batches()
    slot, kept = EngineSlot(Detector(old)), Kept()

    def fail(level: int) -> None:
        if len(new.sizes) >= 3:  # the warm-up, and two batches
            raise ArtifactError("the graph failed")

    new.on_frame = fail

    def swap(frame: Frame) -> None:
        if frame.index == 10:
            assert slot.replace(lambda: Detector(new))

    kept.on_write = swap
    Pipeline([Stream(Count(50), [kept])], slot).run()
    assert kept.frames == list(range(50))
    assert len(new.sizes) == 3
    _until(lambda: new.closed == 1)
    assert old.closed == 0


@pytest.mark.parametrize("fault", ["absent", "warm-up", "classes"])
def test_an_engine_that_cannot_run_leaves_the_old_one(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    def opener() -> Detector:
        if fault == "absent":
            raise ArtifactError("no such engine")
        backend = Batches()
        if fault == "warm-up":
            backend.on_frame = lambda _: 1 // 0 and None
        return Detector(backend)

    slot = EngineSlot(Detector(Batches()), frozenset({"zebra" if fault == "classes" else "dog"}))
    before = slot.detector
    assert not slot.replace(opener)
    assert slot.detector is before
    assert "the engine stays fake.onnx" in caplog.text


def test_an_engine_that_is_ready_only_after_the_end_is_closed() -> None:
    old, new = Batches(), Batches()
    slot = EngineSlot(Detector(old), owns=True)

    def end_meanwhile(_: int) -> None:  # in the warm-up
        slot.close()

    new.on_frame = end_meanwhile
    assert not slot.replace(lambda: Detector(new))
    assert (old.closed, new.closed) == (1, 1)
    assert slot.detector.path == old.path


def test_an_engine_that_fails_on_two_threads_at_once_is_put_back_once(caplog: pytest.LogCaptureFixture) -> None:
    old, new = Batches(), Batches()
    slot, both = EngineSlot(Detector(old)), threading.Barrier(2)
    before = slot.detector
    assert slot.replace(lambda: Detector(new))

    def fail(_: int) -> None:
        both.wait(LIMIT_S)
        raise ArtifactError("the graph failed")

    new.on_frame = fail
    frame = next(iter(Count(1)))
    found: list[int] = []

    def infer() -> None:
        found.append(len(slot.detect([Captured(frame, slot.preprocess(frame.image), 0.0, 0.0)])))

    threads = [threading.Thread(target=infer) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert (found, len(old.sizes)) == ([1, 1], 2)  # both frames by the engine before
    assert slot.detector is before
    _until(lambda: new.closed == 1)
    assert sum("continuing with" in line for line in caplog.messages) == 1


def _until(condition) -> None:  # type: ignore[no-untyped-def]
    due = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.005)
