from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ssd_edge.core.choices import GateFigure, Metric
from ssd_edge.core.errors import AccuracyError, InputError
from ssd_edge.core.sample import LabelledSet
from ssd_edge.evaluation.coco_ap import CocoAp, CocoNumbers
from ssd_edge.evaluation.evaluate import EvaluatedModel, Evaluation
from ssd_edge.evaluation.gate import (
    Reference,
    check_drop,
    check_minimum,
    gate_figure,
    points,
    read_baseline,
    saved_figure,
)
from ssd_edge.evaluation.mean_ap import MeanAp

EMPTY = LabelledSet(("stop",), (), "nothing")
FIELDS = {
    "format": "ssd-edge/eval/1",
    "images": 0,
    "labels": EMPTY.digest,
    "metric": "voc",
    "iou_threshold": 0.5,
    "models": [{"path": "a.onnx", "map": 0.75}, {"path": "b.onnx", "map": 0.25}],
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "figures.json"
    path.write_text(json.dumps(FIELDS | changes))
    return path


def test_points_are_hundredths() -> None:
    assert points(0.745, 0.75) == pytest.approx(-0.5)


@pytest.mark.parametrize("first", [0.3, 0.5, 0.7, 0.755, 0.888])
def test_a_drop_of_just_what_is_allowed_is_allowed(first: float) -> None:
    check_drop(0.5, Reference("a", first), {"a": first, "better": 1.0, "just": first - 0.005})


def test_every_model_that_drops_too_far_is_named() -> None:
    with pytest.raises(AccuracyError) as caught:
        check_drop(0.5, Reference("a", 0.75), {"a": 0.75, "b": 0.74, "c": 0.70})
    assert str(caught.value) == (
        "b, c lose too much compared with a (mAP 0.7500): got a loss of 1.00 points, a loss of 5.00 points; "
        "wanted at most 0.5 (max_drop_points=)"
    )


def test_just_the_minimum_is_enough() -> None:
    check_minimum(0.75, {"a": 0.75})
    with pytest.raises(AccuracyError, match=r"b is not accurate enough: got mAP 0\.7499; wanted at least 0\.75"):
        check_minimum(0.75, {"a": 0.75, "b": 0.7499})


def test_baseline_is_the_first_model_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert read_baseline(path, EMPTY, Metric.VOC, 0.5) == Reference(f"a.onnx of {path}", 0.75)


def test_baseline_without_the_figure_that_is_gone_by_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"figures\.json contains no COCO AP\. Evaluate the baseline model again: .* --coco --json"
    ):
        read_baseline(write(tmp_path), EMPTY, Metric.VOC, 0.5, GateFigure.COCO_AP)


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"metric": "voc07"}, "got metric voc07, IoU 0.5, 0 images; wanted metric voc, IoU 0.5, 0 images"),
        ({"iou_threshold": 0.75}, "got metric voc, IoU 0.75, 0 images"),
        ({"images": 7}, "got metric voc, IoU 0.5, 7 images"),
    ],
)
def test_baseline_that_was_judged_otherwise_is_refused(tmp_path: Path, changes: dict[str, object], got: str) -> None:
    with pytest.raises(InputError, match="evaluated with other settings") as caught:
        read_baseline(write(tmp_path, **changes), EMPTY, Metric.VOC, 0.5)
    assert got in str(caught.value)


def test_baseline_of_other_labels_is_refused(tmp_path: Path) -> None:
    other = LabelledSet(("go",), (), "elsewhere")
    with pytest.raises(InputError, match="was evaluated on other images or labels"):
        read_baseline(write(tmp_path, labels=other.digest, dataset=other.origin), EMPTY, Metric.VOC, 0.5)


@pytest.mark.parametrize(
    "changes",
    [{"format": "other/1"}, {"models": []}, {"models": [{"path": "a"}]}, {"models": [{"path": "a", "map": "NaN"}]}],
)
def test_file_that_is_no_baseline_is_named(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"figures\.json is not a baseline"):
        read_baseline(write(tmp_path, **changes), EMPTY, Metric.VOC, 0.5)


def test_missing_or_broken_baseline_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json cannot be read .No such file or directory.: wanted a file"):
        read_baseline(tmp_path / "none.json", EMPTY, Metric.VOC, 0.5)
    (tmp_path / "half.json").write_text('{"format": "ssd-')
    with pytest.raises(InputError, match=r"half\.json is not a baseline: got missing or invalid content"):
        read_baseline(tmp_path / "half.json", EMPTY, Metric.VOC, 0.5)


ACCURACY = MeanAp(Metric.VOC, 0.5, mean_ap=0.1, mean_ap_50_95=0.2, classes=())
COCO = CocoAp(CocoNumbers(0.3, 0.4, *[None] * 10), classes={})
SAVED = {"map": 0.1, "map_50_95": 0.2, "coco": {"ap": 0.3, "ap_50": 0.4}}


@pytest.mark.parametrize(("figure", "wanted"), list(zip(GateFigure, (0.1, 0.2, 0.3, 0.4), strict=True)))
def test_each_figure_is_found_in_an_evaluation_and_in_a_file_of_one(figure: GateFigure, wanted: float) -> None:
    evaluation = Evaluation(ACCURACY, (), np.zeros(1), ())
    assert gate_figure(figure, EvaluatedModel("a", Path("a.onnx"), evaluation, coco=COCO)) == wanted
    assert saved_figure(figure, SAVED) == wanted
    if not figure.is_coco:
        assert gate_figure(figure, EvaluatedModel("a", Path("a.onnx"), evaluation)) == wanted
