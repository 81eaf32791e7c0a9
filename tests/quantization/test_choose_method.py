"""One table serves ONNX Runtime and TensorRT: no method is taken that fails the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.choices import Method
from ssd_edge.quantization.calibrate import best_method, measure_ranges
from ssd_edge.quantization.range_estimators import make_table
from tests.quantization.square_model import observed


def chosen_by(errors: dict[Method, tuple[float, float]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Method:
    """Let each method have such output errors in the forms of ONNX Runtime and TensorRT."""

    class Planted:
        compares = True

        def __init__(self, *_: object) -> None:
            pass

        def __call__(self, model: tuple[int, str]) -> float:
            place, method = model
            return errors[Method(method)][place]

    monkeypatch.setattr("ssd_edge.quantization.calibrate.OutputError", Planted)
    monkeypatch.setattr("ssd_edge.quantization.qdq_ort.quantize", lambda _, table, **others: (0, table.method))
    monkeypatch.setattr("ssd_edge.quantization.qdq_tensorrt.quantize", lambda _, table, **others: (1, table.method))
    source, chosen, histograms = observed(folder)
    return best_method(source, histograms, chosen, chosen.paths[-1:])


def test_the_worse_error_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    errors = {
        Method.MINMAX: (0.01, 0.5),  # the best here, and useless on the board
        Method.PERCENTILE: (0.3, 0.01),
        Method.ENTROPY: (0.05, 0.06),
        Method.MSE: (0.07, 0.02),
    }
    with caplog.at_level("INFO", logger="ssd_edge"):
        assert chosen_by(errors, tmp_path, monkeypatch) is Method.ENTROPY
    told = caplog.text
    assert "minmax 0.0100 (TensorRT 0.5000)" in told
    assert "entropy is chosen (lowest worst-case error)" in told


def test_where_nothing_scores_no_figure_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ssd_edge.quantization.output_error._SCORE_OF_INTEREST", 2.0)  # which no score reaches
    source, chosen, histograms = observed(tmp_path)
    with caplog.at_level("INFO", logger="ssd_edge"):
        assert best_method(source, histograms, chosen, chosen.paths[-1:]) is Method.MINMAX
    assert "no box has a score above 2 on 1 image, so nothing was compared" in caplog.text
    assert "0.0000" not in caplog.text


@pytest.mark.parametrize("method", [Method.MINMAX, Method.ENTROPY])
def test_ranges_of_images_on_which_nothing_scores_are_measured_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: Method
) -> None:
    source, chosen, histograms = observed(tmp_path)
    wanted = make_table(histograms, method, source, chosen).ranges
    assert measure_ranges(source, chosen, method).ranges == wanted
    assert "nothing was compared" not in caplog.text
    monkeypatch.setattr("ssd_edge.quantization.output_error._SCORE_OF_INTEREST", 2.0)
    assert measure_ranges(source, chosen, method).ranges == wanted
    assert "no box has a score above 2 on" in caplog.text
