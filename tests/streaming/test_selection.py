from __future__ import annotations

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.frame import Frame
from ssd_edge.streaming.selection import DetectionFilter, FrameGate, FrameSelection

NAMES = ("cat", "dog", "fox")


def found() -> Detections:
    return Detections(
        np.zeros((4, 4), np.float32),
        np.array([0.9, 0.7, 0.6, 0.3], np.float32),
        np.array([1, 0, 1, 2], np.int64),
        NAMES,
    )


def still(seconds: float, noise: int = 0) -> Frame:
    image = np.full((240, 320, 3), 90, np.uint8)
    image += np.random.default_rng(noise).integers(0, 6, image.shape, dtype=np.uint8)
    return Frame(image, round(seconds * 25), seconds, "it", seconds)


def moving(seconds: float) -> Frame:
    frame = still(seconds, noise=round(seconds * 25))
    left = round(seconds * 100) % 250
    frame.image[80:140, left : left + 60] = 240
    return frame


@pytest.mark.parametrize(
    ("keep", "scores"),
    [
        (DetectionFilter(), [0.9, 0.7, 0.6, 0.3]),
        (DetectionFilter(0.5), [0.9, 0.7, 0.6]),
        (DetectionFilter(0.6), [0.9, 0.7]),
        (DetectionFilter(0.5, frozenset({"dog"})), [0.9, 0.6]),
        (DetectionFilter(0.5, None, {"dog": 0.8, "fox": 0.2}), [0.9, 0.7, 0.3]),
        (DetectionFilter(0.2, frozenset({"cat", "fox"}), {"cat": 0.7}), [0.3]),
    ],
)
def test_thresholds_and_classes(keep: DetectionFilter, scores: list[float]) -> None:
    assert keep.kept(found()).scores.tolist() == pytest.approx(scores)
    assert len(keep.kept(Detections.empty(NAMES))) == 0


def test_the_lowest_threshold_is_what_the_engine_must_report() -> None:
    assert DetectionFilter(0.5, None, {"dog": 0.3}).lowest == 0.3
    assert DetectionFilter(0.5, frozenset({"cat"}), {"dog": 0.3}).lowest == 0.5


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="the model has no class 'zebra': wanted cat, dog, fox"):
        DetectionFilter(0.5, frozenset({"zebra"})).check(NAMES)
    with pytest.raises(InputError, match="dog is out of range: got 1.5"):
        DetectionFilter(0.5, None, {"dog": 1.5})
    with pytest.raises(InputError, match="detect_fps is out of range"):
        FrameSelection(detect_fps=0.0)
    with pytest.raises(InputError, match="motion is out of range"):
        FrameSelection(motion=1.2)


def test_each_nth_frame() -> None:
    gate = FrameGate(FrameSelection(every=3))
    assert [gate.passes(still(second)) for second in range(7)] == [True, False, False, True, False, False, True]


@pytest.mark.parametrize(("rate", "wanted", "expected"), [(25, 5, 50), (30, 12, 120), (25, 25, 250), (25, 60, 250)])
def test_a_rate_is_kept_by_the_frames_own_time(rate: int, wanted: float, expected: int) -> None:
    gate = FrameGate(FrameSelection(detect_fps=wanted))
    passed = sum(gate.passes(Frame(np.zeros((1, 1, 3), np.uint8), n, 0.0, "it", n / rate)) for n in range(10 * rate))
    assert passed == pytest.approx(expected, rel=0.03)


def test_a_scene_at_rest_is_inferred_once_in_five_seconds() -> None:
    gate = FrameGate(FrameSelection(motion=0.01))
    passed = [number / 25 for number in range(500) if gate.passes(still(number / 25, noise=number))]
    assert passed == [0.0, 5.0, 10.0, 15.0]


def test_what_moves_is_inferred() -> None:
    gate = FrameGate(FrameSelection(motion=0.01))
    assert all(gate.passes(moving(number / 25)) for number in range(50))


@pytest.mark.parametrize("every", [0, -1, 2.5, True, "2"])
def test_every_nth_frame_needs_a_whole_number(every: object) -> None:
    with pytest.raises(InputError, match="every .*got"):
        FrameSelection(every=every)  # type: ignore[arg-type]
