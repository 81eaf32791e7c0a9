from __future__ import annotations

import json
import sys
import types
from dataclasses import replace

import numpy as np
import pytest

from ssd_edge.core.detections import Detection, Detections
from ssd_edge.core.errors import InputError, MissingPackageError

NAMES = ("cat", "dog", "<bird>")


def some() -> Detections:
    boxes = np.array([[0, 0, 0.5, 1], [0.25, 0.5, 1, 1]], np.float32)
    return Detections.from_unit_boxes(
        boxes, np.array([0.9, 0.5], np.float32), np.array([2.0, 0.0], np.float32), width=200, height=100
    )


def named() -> Detections:
    return Detections(
        np.array([[10, 10, 30, 40], [1, 2, 3, 4.5], [5, 5, 9, 9], [0, 0, 1, 1]], np.float32),
        np.array([0.75, 0.5, 0.25, 0.125], np.float32),
        np.array([1, 0, 1, 2], np.int64),
        NAMES,
    )


def tracked() -> Detections:
    return replace(named(), track_ids=np.array([7, 2, 9, 4], np.int64))


def test_unit_boxes_become_pixels() -> None:
    found = some()
    assert found.boxes.tolist() == [[0, 0, 100, 100], [50, 50, 200, 100]]
    assert found.class_ids.tolist() == [2, 0]
    assert (found.boxes.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int64)


def test_above_is_strict() -> None:
    assert len(some().above(0.5)) == 1
    assert len(some().above(0.49)) == 2
    assert len(some().above(0.95)) == 0
    assert named().above(0.3).class_names == NAMES


def test_empty_has_the_same_shapes() -> None:
    assert len(Detections.empty()) == 0
    assert Detections.empty().boxes.shape == (0, 4)
    assert list(Detections.empty(NAMES)) == []


def test_each_detection_is_plain_python() -> None:
    first = next(iter(named()))
    assert first == Detection((10.0, 10.0, 30.0, 40.0), 0.75, 1, "dog")
    assert [type(value) for value in (*first.box, first.score, first.class_id)] == [float] * 5 + [int]
    assert [d.label for d in named()] == named().labels == ["dog", "cat", "dog", "<bird>"]


def test_without_class_names_a_label_is_the_number() -> None:
    assert some().labels == ["2", "0"]
    assert some().filter(labels="2").labels == ["2"]


def test_indexing() -> None:
    found = named()
    assert found[0].label == "dog"
    assert found[-1].label == "<bird>"
    assert found[np.int64(1)].score == 0.5
    with pytest.raises(IndexError):
        found[4]
    assert found[1:3].labels == ["cat", "dog"]
    assert found[found.scores > 0.3].labels == ["dog", "cat"]
    assert found[[2, 0]].scores.tolist() == [0.25, 0.75]
    assert found[[True, False, False, True]].labels == ["dog", "<bird>"]
    assert len(found[[]]) == 0
    assert found[:2].class_names == NAMES


def test_filtering() -> None:
    found = named()
    assert found.filter(score=0.25).scores.tolist() == [0.75, 0.5]  # strictly more
    assert found.filter(labels="dog").scores.tolist() == [0.75, 0.25]
    assert found.filter(score=0.2, labels=["cat", "dog"]).labels == ["dog", "cat", "dog"]
    assert len(found.filter(labels=())) == 0
    assert len(found.filter()) == 4
    with pytest.raises(InputError, match="the model has no class 'horse': wanted cat, dog"):
        found.filter(labels=["dog", "horse"])


def test_plotting_leaves_the_image_as_it_is() -> None:
    image = np.zeros((100, 120, 3), np.uint8)
    drawn = named().plot(image)
    assert not image.any()
    assert drawn.any()
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert not Detections.empty().plot(image).any()
    image.flags.writeable = False
    assert named().plot(image[:, ::-1]).any()
    with pytest.raises(InputError, match=r"got float64 \(9, 9, 3\)"):
        named().plot(np.zeros((9, 9, 3)))  # type: ignore[arg-type]


def test_dicts_are_json() -> None:
    fields = json.loads(json.dumps(named()[:1].to_dict()))
    assert fields == {"detections": [{"box": [10, 10, 30, 40], "score": 0.75, "class_id": 1, "label": "dog"}]}


def test_coco_counts_categories_from_one_and_has_sizes() -> None:
    assert named()[:2].to_coco(7) == [
        {"image_id": 7, "category_id": 2, "bbox": [10, 10, 20, 30], "score": 0.75},
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 2, 2.5], "score": 0.5},
    ]


def test_supervision_is_needed_for_its_type_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(MissingPackageError, match="pip install supervision"):
        named().to_supervision()
    stub = types.ModuleType("supervision")
    stub.Detections = lambda **fields: fields  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "supervision", stub)
    fields = named().to_supervision()
    assert set(fields) == {"xyxy", "confidence", "class_id", "tracker_id", "data"}
    assert fields["tracker_id"] is None
    assert tracked().to_supervision()["tracker_id"].tolist() == [7, 2, 9, 4]  # type: ignore[index]
    assert fields["xyxy"].shape == (4, 4)
    assert fields["data"]["class_name"].tolist() == ["dog", "cat", "dog", "<bird>"]


def test_supervision_takes_it() -> None:
    supervision = pytest.importorskip("supervision")
    for found in (named(), Detections.empty(NAMES)):
        theirs = found.to_supervision()
        assert isinstance(theirs, supervision.Detections)
        assert len(theirs) == len(found)


def test_what_is_shown() -> None:
    assert repr(named()) == "Detections(4: dog 0.75, cat 0.50, dog 0.25, …)"
    assert repr(Detections.empty()) == "Detections(0)"
    page = named()._repr_html_()
    assert "&lt;bird&gt;" in page
    assert "10.0, 10.0, 30.0, 40.0" in page
    many = Detections(np.zeros((30, 4), np.float32), np.ones(30, np.float32), np.zeros(30, np.int64))
    assert "and 10 more" in many._repr_html_()


def test_ids_go_where_their_detections_go() -> None:
    found = tracked()
    assert [d.track_id for d in found] == [7, 2, 9, 4]
    assert found[1].track_id == 2
    parts = {
        "above": found.above(0.2),
        "all above": found.above(0.0),
        "filter": found.filter(labels="dog"),
        "slice": found[1:3],
        "mask": found[[True, False, False, True]],
        "places": found[[2, 0]],
        "none": found[[]],
    }
    ids = {name: part.track_ids.tolist() for name, part in parts.items() if part.track_ids is not None}
    assert ids == {
        "above": [7, 2, 9],
        "all above": [7, 2, 9, 4],
        "filter": [7, 9],
        "slice": [2, 9],
        "mask": [7, 4],
        "places": [9, 7],
        "none": [],
    }
    assert named()[0].track_id is None
    assert named()[:2].track_ids is None


def test_ids_are_shown_and_written() -> None:
    assert repr(tracked()[:1]) == "Detections(1: #7 dog 0.75)"
    assert "<td>#7 dog</td>" in tracked()._repr_html_()
    (entry,) = json.loads(json.dumps(tracked()[:1].to_dict()))["detections"]
    assert entry["track_id"] == 7
    image = np.zeros((100, 120, 3), np.uint8)
    assert (tracked()[:1].plot(image) != named()[:1].plot(image)).any()
    one, other = (replace(tracked()[:1], track_ids=np.array([number])).plot(image) for number in (1, 2))
    assert (one[39:40] != other[39:40]).any()  # below the caption: another object has another color


def test_two_results_are_compared_by_identity() -> None:
    found = named()
    assert found == found
    assert found != named()
    assert len({found, named()}) == 2
