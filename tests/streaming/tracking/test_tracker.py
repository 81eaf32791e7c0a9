from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.streaming.tracking.tracker import Tracker
from tests.streaming.tracking.scenes import NAMES, SCENES, Mover, Report, Scene, line, regular, report

PARTS = 60.0, 120.0


def seen(*boxes: Sequence[float], scores: Sequence[float] = (), class_ids: Sequence[int] = ()) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores or [0.9] * count, np.float32),
        np.array(class_ids or [0] * count, np.int64),
        NAMES,
    )


def at(x: float, y: float = 100.0) -> list[float]:
    return [x, y, x + PARTS[0], y + PARTS[1]]


def ids(found: Detections) -> list[int]:
    assert found.track_ids is not None
    return found.track_ids.tolist()


def tracked(scene: Scene, tracker: Tracker | None = None) -> Report:
    """What becomes of a scene; the boxes, which are all different, say which object a detection is of."""
    tracker, reported, objects = tracker or Tracker(), [], 0
    for time, detections, numbers in scene.frames():
        owner = {tuple(box): number for box, number in zip(detections.boxes.tolist(), numbers, strict=True)}
        found = tracker.update(detections, time)
        reported.append([(owner[tuple(box)], i) for box, i in zip(found.boxes.tolist(), ids(found), strict=True)])
        objects += sum(number >= 0 for number in numbers)
    return report(reported, objects)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SCENES)
def test_every_object_keeps_its_id(name: str, seed: int) -> None:
    found = tracked(replace(SCENES[name], seed=seed))
    assert (found.switches, found.shared) == (0, 0)
    assert sorted(found.ids) == list(range(len(SCENES[name].movers)))
    if name != "false":
        assert found.false == 0
        assert found.idf1 > 0.95


def test_without_the_motion_model_these_scenes_would_be_lost() -> None:
    """The figures can tell a good tracker from a bad one: here every frame is another stream to the tracker."""
    switches = 0
    for name in ("straight", "crossing", "curve"):
        tracker, last = Tracker(), {}
        for time, detections, numbers in SCENES[name].frames():
            tracker.reset()
            for number, track_id in zip(numbers, ids(tracker.update(detections, time)), strict=True):
                switches += number in last
                last[number] = track_id
    assert switches > 100


def test_a_new_object_is_reported_at_once_and_ids_are_never_used_again() -> None:
    tracker = Tracker()
    assert ids(tracker.update(seen(at(0), at(400)), 0.0)) == [1, 2]
    assert ids(tracker.update(seen(at(400)), 0.04)) == [2]
    assert ids(tracker.update(seen(at(800), at(400)), 0.08)) == [3, 2]
    assert ids(tracker.update(seen(), 5.0)) == []
    assert ids(tracker.update(seen(at(0), at(400), at(800)), 5.04)) == [4, 5, 6]
    assert tracker.begun == 6


def test_detections_stay_as_they_are_and_in_their_order() -> None:
    tracker = Tracker()
    given = seen(at(0), at(400), at(800), scores=[0.9, 0.6, 0.3])
    found = tracker.update(given, 0.0)
    np.testing.assert_array_equal(found.boxes, given.boxes[:2])
    np.testing.assert_array_equal(found.scores, given.scores[:2])
    assert (found.class_names, found.labels) == (NAMES, ["person", "person"])
    assert given.track_ids is None
    assert found.track_ids is not None
    assert found.track_ids.dtype == np.int64


def test_a_weak_detection_continues_a_track_and_begins_none() -> None:
    tracker = Tracker()
    tracker.update(seen(at(0)), 0.0)
    found = tracker.update(seen(at(2), at(600), scores=[0.2, 0.15]), 0.04)
    assert (ids(found), found.scores.tolist()) == ([1], [pytest.approx(0.2)])
    assert ids(tracker.update(seen(at(4), scores=[0.05]), 0.08)) == []  # weaker than the weakest
    assert ids(tracker.update(seen(at(4), scores=[0.3]), 0.12)) == []  # the frame before had lost it
    assert ids(tracker.update(seen(at(4), scores=[0.6]), 0.16)) == [1]


@pytest.mark.parametrize("classes", [None, ["person"]])
def test_the_second_best_class_of_an_object_continues_no_track(classes: list[str] | None) -> None:
    """A person was once taken for a car; from then on the car's score at the person's box is 0.2."""
    tracker = Tracker(classes=classes)
    tracker.update(seen(at(0), class_ids=[0]), 0.0)
    assert ids(tracker.update(seen(at(0), at(2), scores=[0.9, 0.2], class_ids=[1, 0]), 0.04)) == (
        [2] if not classes else []
    )
    assert ids(tracker.update(seen(at(0), at(2), scores=[0.4, 0.2], class_ids=[1, 0]), 0.08)) == (
        [2] if not classes else []
    )
    assert ids(tracker.update(seen(at(0), class_ids=[0]), 0.12)) == [1]


def test_classes_never_mix() -> None:
    tracker = Tracker()
    tracker.update(seen(at(0), class_ids=[0]), 0.0)
    assert ids(tracker.update(seen(at(0), class_ids=[1]), 0.04)) == [2]
    assert ids(tracker.update(seen(at(0), at(0), class_ids=[1, 0]), 0.08)) == [2, 1]


def test_each_class_has_its_threshold() -> None:
    tracker = Tracker(0.5, thresholds={"car": 0.8}, classes=["car"])
    assert ids(tracker.update(seen(at(0), at(300), scores=[0.9, 0.7], class_ids=[0, 1]), 0.0)) == []
    assert ids(tracker.update(seen(at(300), at(0), scores=[0.9, 0.9], class_ids=[1, 0]), 0.1)) == [1]
    assert tracker.update(seen(at(300), scores=[0.6], class_ids=[1]), 0.2).labels == ["car"]


@pytest.mark.parametrize(("missing_s", "kept"), [(0.9, True), (1.1, False)])
def test_a_lost_object_is_remembered_for_the_timeout(missing_s: float, kept: bool) -> None:
    tracker = Tracker(timeout=1.0)
    for number in range(10):
        tracker.update(seen(at(0)), 0.04 * number)
    for number in range(1, int(missing_s / 0.04)):
        tracker.update(seen(), 0.36 + 0.04 * number)
    assert ids(tracker.update(seen(at(0)), 0.36 + missing_s)) == [1 if kept else 2]


@pytest.mark.parametrize(("gap_s", "kept"), [(5.0, True), (29.0, True), (31.0, False), (86_400.0, False)])
@pytest.mark.parametrize("frames_before", [1, 2])
def test_a_first_gap_is_no_usual_interval(gap_s: float, kept: bool, frames_before: int) -> None:
    tracker = Tracker()
    for turn in range(2):  # the second time after a reset
        times = [gap_s * number for number in range(frames_before + 1)]
        found = [ids(tracker.update(seen(at(0)), time))[0] for time in times]
        tracker.reset()
        first = turn * (1 if kept else frames_before + 1) + 1
        assert found == [first if kept else first + number for number in range(len(times))]


def test_of_the_tracks_that_are_lost_the_newest_300_are_kept() -> None:
    tracker, still = Tracker(timeout=600), at(0, 600)
    for number in range(80):
        false = [[200 + 20 * n, 8 * number, 204 + 20 * n, 8 * number + 4] for n in range(10)]
        tracker.update(seen(still, *false), number / 25)
    assert tracker.begun == 801
    assert len(tracker._ids) == 1 + 10 + 300
    assert tracker._ids[1:].tolist() == list(range(801 - 309, 802))
    assert ids(tracker.update(seen(still), 4.0)) == [1]


@pytest.mark.parametrize("seed", range(12))
def test_a_hidden_object_at_rest_does_not_drift_away_though_its_box_jitters(seed: int) -> None:
    scene = Scene([Mover(line(400, 300, 0), hidden=[(2.0, 4.9)])], regular(5.5), jitter=0.05, seed=seed)
    assert tracked(scene, Tracker(timeout=3)).switches == 0


def test_at_a_low_rate_a_track_lives_for_three_intervals() -> None:
    tracker = Tracker(timeout=1.0)
    times = [2.0 * number for number in range(4)]
    assert [ids(tracker.update(seen(at(0)), time)) for time in times] == [[1]] * 4
    assert [ids(tracker.update(seen(), time)) for time in (8.0, 10.0)] == [[], []]
    assert ids(tracker.update(seen(at(0)), 12.0)) == [1]
    assert ids(tracker.update(seen(at(0)), 100.0)) == [2]


def test_what_stopped_while_the_scene_was_at_rest_is_the_same() -> None:
    """With --motion no frame comes while nothing moves: the prediction has gone on, the object has not."""
    tracker, x = Tracker(timeout=6.0), 0.0
    for number in range(20):
        tracker.update(seen(at(x)), 0.04 * number)
        x += 8
    assert ids(tracker.update(seen(at(x)), 0.76 + 5.0)) == [1]
    assert ids(tracker.update(seen(at(x)), 0.76 + 10.0)) == [1]


def test_the_time_between_frames_counts() -> None:
    """A frame that comes late finds the object where it has gone meanwhile, and not where it was."""
    tracker = Tracker()
    for number in range(15):
        tracker.update(seen(at(6.0 * number)), 0.04 * number)
    where_it_is, where_it_was = at(6.0 * 14 + 150 * 0.7), at(6.0 * 14)
    found = tracker.update(seen(where_it_was, where_it_is), 0.04 * 14 + 0.1)
    assert ids(found)[0] == 1
    tracker = Tracker()
    for number in range(15):
        tracker.update(seen(at(6.0 * number)), 0.04 * number)
    for number in range(1, 9):
        tracker.update(seen(), 0.56 + 0.0875 * number - 0.04)
    found = tracker.update(seen(where_it_was, where_it_is), 0.56 + 0.7)
    assert ids(found)[1] == 1


def test_two_short_steps_are_one_long_one() -> None:
    """Empty frames between change nothing: process noise is by time, and not by frame."""
    far: list[float] = []
    for steps in (1, 4):
        tracker = Tracker()
        for number in range(15):
            tracker.update(seen(at(5.0 * number)), 0.04 * number)
        tracker._motion._speed[:, 2:] = 0  # which the first empty frame would do
        for number in range(1, steps + 1):
            tracker._begin_frame(0.56 + 0.4 * number / steps)
            tracker._is_lost[:] = True
        far += [*tracker._motion.boxes[0].tolist(), *tracker._motion._variance.ravel().tolist()]
    assert far[: len(far) // 2] == pytest.approx(far[len(far) // 2 :])


def test_a_time_that_runs_backwards_ends_all_tracks() -> None:
    tracker = Tracker()
    assert ids(tracker.update(seen(at(0)), 100.0)) == [1]
    assert ids(tracker.update(seen(at(0)), 3.0)) == [2]
    assert ids(tracker.update(seen(at(0)), 3.0)) == [2]  # the same time twice
    tracker.reset()
    assert ids(tracker.update(seen(at(0)), 3.04)) == [3]


def test_other_classes_end_all_tracks_and_no_detections_do_not() -> None:
    tracker = Tracker()
    tracker.update(seen(at(0)), 0.0)
    assert ids(tracker.update(Detections.empty(), 0.04)) == []
    assert ids(tracker.update(seen(at(0)), 0.08)) == [1]
    other = replace(seen(at(0)), class_names=("sign", "lamp"))
    assert ids(tracker.update(other, 0.12)) == [2]


def test_boxes_that_are_none_are_left_out() -> None:
    tracker = Tracker()
    broken = seen([np.nan, 0, 5, 5], [0, 0, np.inf, 5], at(0), [50, 50, 50, 50], [9, 9, 3, 3])
    assert ids(tracker.update(broken, 0.0)) == [1, 2, 3]
    assert ids(tracker.update(broken, 0.04))[0] == 1
    assert ids(tracker.update(seen(at(0)), 1e9)) == [6]


def test_a_crowd_on_one_spot_is_told_apart_or_not_but_never_doubled() -> None:
    rng, tracker = np.random.default_rng(0), Tracker()
    for number in range(20):
        boxes = at(0) + rng.normal(0, 20, (60, 4))
        found = tracker.update(seen(*boxes.tolist(), scores=np.sort(rng.random(60))[::-1].tolist()), number / 25)
        assert len(set(ids(found))) == len(found)


def test_values_out_of_range_are_refused() -> None:
    for wrong in (
        {"score_threshold": 1.0},
        {"low_score": -0.1},
        {"timeout": float("inf")},
        {"thresholds": {"car": 2.0}},
    ):
        with pytest.raises(InputError, match="out of range"):
            Tracker(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="time is not finite: got nan"):
        Tracker().update(seen(), float("nan"))
    with pytest.raises(InputError, match="time"):
        Tracker().update(seen(), "now")  # type: ignore[arg-type]


def test_a_scene_without_irregularities_has_one_id_for_each_object() -> None:
    scene = Scene([Mover(line(100 + 140 * n, 300, 0, 10)) for n in range(8)], regular(3))
    found = tracked(scene)
    assert sorted(found.ids.values()) == [[n] for n in range(1, 9)]
    assert found.idf1 == 1


@pytest.mark.parametrize(("rate", "reach"), [(25.0, 0.8), (4.0, 1.3), (1.0, 1.3)])
def test_a_new_object_may_move_as_far_as_the_documents_say(rate: float, reach: float) -> None:
    for sizes, kept in ((reach - 0.05, True), (reach + 0.1, False)):
        tracker = Tracker()
        tracker.update(seen([0, 0, 100, 100]), 0.0)
        found = tracker.update(seen([100 * sizes, 0, 100 * sizes + 100, 100]), 1 / rate)
        assert ids(found) == [1 if kept else 2]
