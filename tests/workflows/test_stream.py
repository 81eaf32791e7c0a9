from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import Frame
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.sources.base import Source, SourceInfo
from ssd_edge.workflows import stream as streaming
from ssd_edge.workflows import stream_plan
from ssd_edge.workflows.load import load
from ssd_edge.workflows.stream import stream
from ssd_edge.workflows.stream_config import RunConfig, RunOptions, StreamConfig, StreamOptions
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.streaming.films import write_bright_film, write_moving_video


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_onnx(tmp_path / "bright.onnx")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_bright_film(tmp_path / "video.mp4", 20)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_a_program_that_counts(film: Path, model: Path) -> None:
    with load(model, score_threshold=0.5) as detect, stream(film, detect) as frames:
        dogs = sum(len(detections.filter(labels="dog")) for _, detections in frames)
    assert dogs == 20


def test_every_frame_of_a_file_comes_in_order_with_its_place(film: Path, model: Path) -> None:
    with load(model) as detect:
        with stream(str(film), detect) as frames:
            pairs = list(frames)
        assert len(detect(pairs[0][0].image)) == 1  # the detector is its owner's to close
    assert [frame.index for frame, _ in pairs] == list(range(20))
    assert [frame.time for frame, _ in pairs] == pytest.approx([number / 25 for number in range(20)])
    assert {frame.source for frame, _ in pairs} == {str(film)}
    assert all(frame.image.shape == (64, 128, 3) and frame.image.dtype == np.uint8 for frame, _ in pairs)
    for _, detections in pairs:
        assert detections.labels == ["dog"]
        np.testing.assert_allclose(detections.boxes, [[0, 0, 32, 32]], atol=2)


def test_a_model_file_is_opened_and_closed(film: Path, model: Path) -> None:
    with stream([film], model, max_frames=3) as frames:
        assert [len(detections) for _, detections in frames] == [1, 1, 1]
        assert list(frames) == []


def test_leaving_early_ends_all(film: Path, model: Path) -> None:
    with stream(film, model, loop=True) as frames:
        for frame, _ in frames:
            if frame.index == 30:
                break
    assert list(frames) == []
    with pytest.raises(ZeroDivisionError), stream(film, model, loop=True) as frames:
        next(frames)
        raise ZeroDivisionError
    with stream(film, model):
        pass  # without a look at any frame


def test_another_thread_may_stop_it(film: Path, model: Path) -> None:
    stop = StopRequest()
    with stream(film, model, loop=True, stop=stop) as frames:
        next(frames)
        timer = threading.Timer(0.05, stop.request)
        timer.start()
        seen = [frame.index for frame, _ in itertools.islice(frames, 100_000)]
        timer.join()
        assert 0 < len(seen) < 100_000  # it ended by the request: a loop has no end of its own
        assert seen == list(range(1, len(seen) + 1))
        assert next(frames, None) is None


def test_it_runs_on_a_thread_that_is_not_the_first(film: Path, model: Path) -> None:
    seen: list[int] = []

    def work() -> None:
        with stream(film, model) as frames:
            seen.extend(frame.index for frame, _ in frames)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert seen == list(range(20))


@pytest.mark.parametrize(("threshold", "ids"), [(None, [1]), (0.5, [1]), (0.8, [])])
def test_a_tracked_stream_has_ids_of_what_the_detector_is_sure_of(
    tmp_path: Path, model: Path, threshold: float | None, ids: list[int]
) -> None:
    film = write_moving_video(tmp_path / "moving.mp4", 40, dark=range(20, 30))
    with (
        load(model) if threshold is None else load(model, score_threshold=threshold) as detect,
        stream(film, detect, track=True) as frames,
    ):
        found = [detections.track_ids.tolist() for _, detections in frames if detections.track_ids is not None]
    assert found == [ids] * 20 + [[]] * 10 + [ids] * 10


def test_ids_of_several_sources_are_their_own(tmp_path: Path, film: Path, model: Path) -> None:
    other = write_moving_video(tmp_path / "other.mp4", 20)
    with stream([film, other], model, track=True) as frames:
        found = [(frame.source, [d.track_id for d in detections]) for frame, detections in frames]
    assert {ids[0] for _, ids in found} == {1}
    assert len(found) == 40


class Camera(Source):
    """Gives a frame every millisecond."""

    def __init__(self) -> None:
        super().__init__(SourceInfo("camera", live=True))
        self.given = 0

    def __iter__(self) -> Iterator[Frame]:
        for index in itertools.count():
            if self._interrupted.wait(0.001):
                return
            self.given = index
            yield Frame(np.zeros((64, 64, 3), np.uint8), index, time.monotonic(), "camera")


def test_the_newest_frame_of_a_camera_wins(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    camera = Camera()
    monkeypatch.setattr(stream_plan, "open_source", lambda *_, **__: camera)
    indexes = []
    with stream(0, model) as frames:
        for frame, _ in itertools.islice(frames, 8):
            indexes.append(frame.index)
            given = camera.given
            while camera.given < given + 20:  # a slow program, by the clock of the camera
                time.sleep(0.001)
    assert indexes == sorted(set(indexes))
    assert indexes[-1] > 4 * 20  # most were dropped: only those in flight waited


def test_several_sources_share_a_detector_and_keep_their_order(tmp_path: Path, film: Path, model: Path) -> None:
    other = write_bright_film(tmp_path / "other.mp4", 12, size=(64, 64))
    with load(model) as detect, stream([film, other], detect) as frames:
        pairs = [(frame.source, frame.index, frame.width, len(found)) for frame, found in frames]
    assert [pair[1:] for pair in pairs if pair[0] == str(film)] == [(index, 128, 1) for index in range(20)]
    assert [pair[1:] for pair in pairs if pair[0] == str(other)] == [(index, 64, 1) for index in range(12)]


def test_a_batch_that_is_named_is_not_measured(
    tmp_path: Path, film: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_bright_film(tmp_path / "other.mp4", 12)
    monkeypatch.setattr(streaming, "measure_batches", lambda *_: pytest.fail("it was measured"))
    with load(model) as detect, stream([film, other], detect, max_batch=1) as frames:
        assert len(list(frames)) == 32


def test_frames_and_detections_are_selected(film: Path, model: Path) -> None:
    with stream(film, model, every=4) as frames:
        assert [frame.index for frame, _ in frames] == [0, 4, 8, 12, 16]
    with stream(film, model, classes=["cat"]) as frames:
        assert {len(found) for _, found in frames} == {0}
    with stream(film, model, classes=["dog"], thresholds={"dog": 0.8}) as frames:
        assert {len(found) for _, found in frames} == {0}


def test_images_are_frames_too(tmp_path: Path, model: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / "photos" / name), np.full((40, 60, 3), 255, np.uint8))
    with stream(tmp_path / "photos", model) as frames:
        assert [Path(frame.source).name for frame, detections in frames if len(detections) == 1] == ["a.png", "b.png"]


def test_what_is_refused(film: Path, model: Path) -> None:
    with pytest.raises(InputError, match="no source is given"), stream([], model):
        pass
    with (
        pytest.raises(InputError, match="the model has no class 'zebra': wanted cat, dog"),
        stream(film, model, classes=["zebra"]),
    ):
        pass
    with pytest.raises(InputError, match="max_frames is out of range"), stream(film, model, max_frames=0):
        pass
    with (
        pytest.raises(InputError, match="options are given twice"),
        stream(film, model, config=StreamConfig(), loop=True),
    ):
        pass
    with pytest.raises(InputError, match=r"absent\.mp4 does not exist"), stream("absent.mp4", model):
        pass
    with pytest.raises(TypeError, match="did you mean loop"), stream(film, model, lop=True):  # type: ignore[call-arg]
        pass


@pytest.mark.parametrize(("config", "options"), [(StreamConfig, StreamOptions), (RunConfig, RunOptions)])
def test_options_are_the_fields_of_the_config(config: type, options: type) -> None:
    assert {entry.name for entry in fields(config)} == set(options.__annotations__)


def test_several_images_are_one_source(tmp_path: Path, model: Path) -> None:
    names = ["b.png", "a.png", "c.png"]
    for name in names:
        cv2.imwrite(str(tmp_path / name), np.full((40, 60, 3), 255, np.uint8))
    with stream([tmp_path / name for name in names], model) as frames:
        assert [(frame.index, Path(frame.source).name) for frame, _ in frames] == list(enumerate(names))
