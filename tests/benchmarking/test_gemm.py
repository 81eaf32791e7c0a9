from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from ssd_edge.backends.ort_session import load_runtime, make_session
from ssd_edge.benchmarking import gemm


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm, "SIDE", 64)


def test_each_type_has_a_peak_and_a_library() -> None:
    found = gemm.measure_peaks(1, 0.01)
    assert {"f32", "int8"} <= set(found) <= set(gemm.TYPES)
    assert all(gops > 0.1 and library in ("onnxruntime", "torch", "openvino") for gops, library in found.values())


def test_without_other_libraries_onnx_runtime_gives_it_and_bf16_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm, "find_spec", lambda _: None)
    found = gemm.measure_peaks(1, 0.01)
    assert {kind: library for kind, (_, library) in found.items()} == {"f32": "onnxruntime", "int8": "onnxruntime"}


def test_the_best_library_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"slow": 0.02, "quick": 0.001}
    monkeypatch.setattr(gemm, "_products", lambda _: iter([("f32", name, name) for name in times]))
    monkeypatch.setattr(gemm, "_shortest_s", lambda name, _: times[name])
    assert gemm.measure_peaks(1, 0.0) == {"f32": (pytest.approx(2 * 64**3 / 0.001 / 1e9), "quick")}


def test_the_products_are_products() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 64)).astype(np.uint8)
    weights = rng.integers(-63, 64, (64, 64)).astype(np.int8)  # without VNNI, sums of more than 7 bits saturate
    model = gemm._model("MatMulInteger", TensorProto.INT32, pixels, weights)
    (found,) = make_session(model.SerializeToString(), load_runtime().SessionOptions()).run(None, {"a": pixels})
    np.testing.assert_array_equal(found, pixels.astype(np.int32) @ weights.astype(np.int32))
