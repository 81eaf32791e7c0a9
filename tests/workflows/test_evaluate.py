from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import pytest

from ssd_edge.core.choices import GateFigure, Metric
from ssd_edge.core.errors import AccuracyError, InputError
from ssd_edge.core.log import log
from ssd_edge.core.progress import ProgressEvent
from ssd_edge.workflows.evaluate import evaluate
from ssd_edge.workflows.evaluate_config import EvaluateConfig, EvaluateOptions
from tests.backends.tiny_onnx import CLASS_NAMES, write_tiny_onnx
from tests.cli.test_eval import DOG_AP, write_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "pets", CLASS_NAMES)


def test_keywords_are_the_fields_of_the_config() -> None:
    assert set(EvaluateOptions.__annotations__) == {field.name for field in dataclasses.fields(EvaluateConfig)}


def test_one_model_is_evaluated_without_a_word(
    tmp_path: Path,
    dataset: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log, "handlers", [])  # a command that ran before in this process has shown its log
    events: list[ProgressEvent] = []
    with caplog.at_level(logging.INFO, "ssd_edge"):
        result = evaluate(str(write_tiny_onnx(tmp_path / "bright.onnx")), str(dataset), progress=events.append)
    (model,) = result.models
    assert (result.path, result.left_out, len(result.labelled)) == (None, (), 3)
    assert (model.label, model.path) == ("bright.onnx", tmp_path / "bright.onnx")
    assert model.evaluation.accuracy.mean_ap == pytest.approx(DOG_AP / 2)
    assert model.coco is None
    assert [cost.count for cost in model.errors] == [1, 0, 0, 0, 0, 0]
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == [f"evaluating on VOC {dataset}, split test: 3 images, 3 objects"]
    assert [(event.done, event.total, event.is_over) for event in events][-2:] == [(3, 3, False), (3, 3, True)]
    assert {event.stage for event in events} == {"bright.onnx"}


def test_several_models_stand_side_by_side_and_the_page_is_the_path(tmp_path: Path, dataset: Path) -> None:
    models = [write_tiny_onnx(tmp_path / "bright.onnx"), write_tiny_onnx(tmp_path / "poor.onnx", shift=0.4)]
    result = evaluate(models, dataset, coco=True, metric="voc07", html=str(tmp_path / "page.html"))
    assert result.path == tmp_path / "page.html"
    assert result.path.is_file()
    assert result.points == pytest.approx((0, -100 * models_map(result, 0)))
    assert all(model.coco is not None for model in result.models)
    fields = json.loads(result.to_json())
    assert (fields["metric"], [entry["path"] for entry in fields["models"]]) == (
        "voc07",
        [str(path) for path in models],
    )


def models_map(result, number: int) -> float:
    return result.models[number].evaluation.accuracy.mean_ap


def test_a_gate_that_is_not_met_carries_the_result(tmp_path: Path, dataset: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    with pytest.raises(AccuracyError, match=r"wanted at least 0\.5 \(min_map=\)") as caught:
        evaluate(model, dataset, min_map=0.5)
    assert models_map(caught.value.result, 0) == pytest.approx(DOG_AP / 2)


def test_the_config_and_keywords_mean_the_same(tmp_path: Path, dataset: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    config = EvaluateConfig(gate_on=GateFigure.MAP_50_95, min_map=0.1, metric=Metric.VOC)
    by_config = evaluate(model, dataset, config=config)
    by_words = evaluate(model, dataset, gate_on="map-50-95", min_map=0.1)
    assert models_map(by_config, 0) == models_map(by_words, 0)
    with pytest.raises(InputError, match="given twice"):
        evaluate(model, dataset, config=config, min_map=0.1)


@pytest.mark.parametrize("option", [{"iou_threshold": 5}, {"score_threshold": -0.1}, {"min_map": 40}, {"cores": 0}])
def test_options_out_of_their_limits_are_refused(dataset: Path, option: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(option))} is out of range: got {next(iter(option.values()))}"):
        evaluate("m.onnx", dataset, **option)  # type: ignore[arg-type]


def test_images_that_change_between_two_models_are_refused(tmp_path: Path, dataset: Path) -> None:
    models = [write_tiny_onnx(tmp_path / "bright.onnx"), write_tiny_onnx(tmp_path / "poor.onnx", shift=0.4)]

    def damage(event: ProgressEvent) -> None:
        if (event.stage, event.done) == ("poor.onnx", 0):
            next(path for path in sorted(dataset.rglob("*")) if path.suffix in (".png", ".jpg")).write_bytes(b"gone")

    with pytest.raises(InputError, match="changed during the evaluation.*again"):
        evaluate(models, dataset, max_bad=0.9, html=tmp_path / "page.html", progress=damage)
    assert not (tmp_path / "page.html").exists()
    assert len(evaluate(models, dataset, max_bad=0.9).labelled) == 2


def test_no_model_is_refused(dataset: Path) -> None:
    with pytest.raises(InputError, match="no model is given to evaluate"):
        evaluate([], dataset)
