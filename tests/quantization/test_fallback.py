"""Sensitivity and guard on a network that was made hostile to INT8 on purpose."""

from __future__ import annotations

import onnx
import pytest

from ssd_edge.backends.detector import open_detector
from ssd_edge.core.errors import AccuracyError
from ssd_edge.doctor.sample_model import sample_frames
from ssd_edge.quantization.fallback import fall_back
from ssd_edge.quantization.output_error import OutputError
from ssd_edge.quantization.qdq_ort import quantize
from ssd_edge.quantization.sensitivity import LayerError, Ranking, convolutions, sensitivity, sensitivity_svg
from tests.quantization.square_model import observed, rescaled, square_model, squares_missed, table_of


def test_layers_are_ranked_by_the_error_they_add(tmp_path) -> None:
    model, table = square_model(), table_of(tmp_path)
    measure = OutputError(model, [frame.image for frame in sample_frames(3, 5)])
    layers = sensitivity(model, lambda kept: quantize(model, table, keep_float=kept), measure)
    assert sorted(entry.name for entry in layers) == sorted(convolutions(model))
    assert [entry.error for entry in layers] == sorted((entry.error for entry in layers), reverse=True)
    assert all(0 < entry.error < 0.2 for entry in layers)


def test_no_error_where_nothing_changes() -> None:
    model = square_model()
    assert OutputError(model, [frame.image for frame in sample_frames(2, 5)])(model) == 0


def test_picture_shows_every_layer() -> None:
    text = sensitivity_svg([LayerError("a<b", 0.5), LayerError("c", 0.0)], "errors")
    assert "a&lt;b" in text
    assert text.count("<rect") == 3


def counting(losses: dict[frozenset[str], float] | None = None, culprits: tuple[str, ...] = ()):
    """A model is the set of its float layers here; it loses a point for each culprit in INT8."""
    asked: list[frozenset[str]] = []

    def evaluate(model):
        asked.append(model)
        return 0.8 - 0.01 * sum(name not in model for name in culprits)

    return evaluate, asked


def test_nothing_is_kept_where_int8_is_good_enough() -> None:
    evaluate, asked = counting()
    made = fall_back(lambda kept: kept, evaluate, lambda: pytest.fail("not asked for"), map_float=0.8, max_drop=0.5)
    assert made.keep_float == frozenset()
    assert len(asked) == 1


@pytest.mark.parametrize("needed", [1, 2, 3, 5, 7, 16])
def test_the_fewest_layers_are_returned_to_float(needed) -> None:
    names = [f"layer{number}" for number in range(16)]
    evaluate, asked = counting(culprits=tuple(names[:needed]))
    made = fall_back(lambda kept: kept, evaluate, lambda: names, map_float=0.8, max_drop=0.5)
    assert made.keep_float == frozenset(names[:needed])
    assert made.drop_points == pytest.approx(0)
    assert len(asked) <= 10


def test_a_promise_that_cannot_be_kept_is_refused() -> None:
    evaluate, _ = counting(culprits=("the heads", "the table"))
    with pytest.raises(AccuracyError, match=r"got a loss of 2\.00 points; wanted at most 0\.5 \(--max-drop\)"):
        fall_back(lambda kept: kept, evaluate, lambda: ["a", "b"], map_float=0.8, max_drop=0.5)


def test_hostile_network_is_rescued(tmp_path) -> None:
    """One channel is 2,000 times as large as the others, which are lost until a layer stays float."""
    hostile = rescaled(square_model(), 2000)
    onnx.save(hostile, tmp_path / "float.onnx")
    with open_detector(tmp_path / "float.onnx") as detector:
        assert squares_missed(detector) == 0
    table = table_of(tmp_path)
    wide = table.ranges["conv2.relu"]
    ranges = {**table.ranges, "conv2.relu": type(wide)(wide.low, wide.high * 2000)}
    hostile_table = type(table)(**{**vars(table), "ranges": ranges})

    def lower(kept: frozenset[str]) -> onnx.ModelProto:
        return quantize(hostile, hostile_table, keep_float=kept)

    def found(model: onnx.ModelProto) -> float:
        onnx.save(model, tmp_path / "int8.onnx")
        with open_detector(tmp_path / "int8.onnx") as detector:
            return 1 - squares_missed(detector) / 60

    assert found(lower(frozenset())) < 0.95
    measure = OutputError(hostile, [frame.image for frame in sample_frames(3, 5)])
    layers = [entry.name for entry in sensitivity(hostile, lower, measure)]
    assert set(layers[:2]) == {"conv2", "conv3"}
    made = fall_back(lower, found, lambda: layers, map_float=1.0, max_drop=0.5)
    assert made.keep_float <= {"conv2", "conv3"}
    assert made.map_lowered == 1


def test_layers_are_not_ranked_by_images_on_which_nothing_scores(
    tmp_path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source, chosen, _ = observed(tmp_path)
    there = sorted(tmp_path.iterdir())
    monkeypatch.setattr("ssd_edge.quantization.output_error._SCORE_OF_INTEREST", 2.0)
    asked: list[frozenset[str]] = []
    ranking = Ranking(source, asked.append, chosen.paths, lambda *_: None)
    assert ranking.names() == ranking.names() == convolutions(source.model)
    assert (asked, sorted(tmp_path.iterdir())) == ([], there)
    assert caplog.text.count("the layers are not ranked: no box has a score above 2 on 8 images") == 1
