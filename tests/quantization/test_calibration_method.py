"""One table serves ONNX Runtime and TensorRT: no method is taken that fails the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd_edge.core.choices import Method
from ssd_edge.graph.source import read_onnx
from ssd_edge.quantization import output_error
from ssd_edge.quantization.choose_method import best_method
from tests.quantization.square_model import observed


def chosen_by(errors: dict[Method, tuple[float, float]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Method:
    """Let each method have such output errors in the forms of ONNX Runtime and TensorRT."""

    class Planted:
        def __init__(self, *_: object) -> None:
            pass

        def __call__(self, model: tuple[int, str]) -> float:
            place, method = model
            return errors[Method(method)][place]

    monkeypatch.setattr(output_error, "OutputError", Planted)
    monkeypatch.setattr("ssd_edge.quantization.qdq_ort.quantise", lambda _, table, *, scheme: (0, table.method))
    monkeypatch.setattr("ssd_edge.quantization.qdq_tensorrt.quantise", lambda _, table: (1, table.method))
    path, chosen, histograms = observed(folder)
    return best_method(read_onnx(path), path, histograms, chosen, chosen.paths[-1:])


def test_the_worse_error_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = {
        Method.MINMAX: (0.01, 0.5),  # the best here, and useless on the board
        Method.PERCENTILE: (0.3, 0.01),
        Method.ENTROPY: (0.05, 0.06),
        Method.MSE: (0.07, 0.02),
    }
    assert chosen_by(errors, tmp_path, monkeypatch) is Method.ENTROPY
    told = capsys.readouterr().err
    assert "minmax 0.0100 (TensorRT 0.5000)" in told
    assert "entropy is taken, whose worse error is the least" in told
