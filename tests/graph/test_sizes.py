from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.limits import VARIABLE
from ssd_edge.graph.sizes import check_file, check_sizes
from tests.quantization.square_model import square_model

HEAD = '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 3, 64, 64] x) => (float[N, 3, 64, 64] y)'
HOSTILE = {
    "filled": "{ n = Constant <value = int64[1] {3000000000}> () big = ConstantOfShape (n) y = Add (x, big) }",
    "computed": """{ n = Constant <value = int64[1] {60000}> () m = Concat <axis = 0> (n, n)
        big = ConstantOfShape (m) s = ReduceSum <keepdims = 0> (big) y = Add (x, s) }""",
    "repeated": """{ n = Constant <value = int64[4] {1, 1, 20000, 20000}> () big = Tile (x, n)
        s = ReduceSum <keepdims = 0> (big) y = Add (x, s) }""",
    "expanded": """{ n = Constant <value = int64[3] {3000, 1000, 1000}> () one = Constant <value = float[1] {1}> ()
        big = Expand (one, n) s = ReduceSum <keepdims = 0> (big) y = Add (x, s) }""",
    "enlarged": """{ n = Constant <value = float[4] {1, 1, 3000, 3000}> () big = Resize <mode = "nearest"> (x, , n)
        s = ReduceSum <keepdims = 0> (big) y = Add (x, s) }""",
    "padded": """{ n = Constant <value = int64[8] {0, 0, 0, 0, 0, 0, 100000, 100000}> () big = Pad (x, n)
        s = ReduceSum <keepdims = 0> (big) y = Add (x, s) }""",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_small_graph_of_a_huge_tensor_is_refused_before_it_is_made(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.onnx"
    onnx.save(onnx.parser.parse_model(f"{HEAD} {HOSTILE[kind]}"), path)
    began = time.process_time()
    with pytest.raises(ArtifactError, match=r"a\.onnx has a tensor that is too large: 'big': got \d{10,} bytes"):
        check_file(path)
    assert time.process_time() - began < 1


def test_a_sound_graph_passes_and_the_limit_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_sizes(square_model(), tmp_path / "a.onnx")
    monkeypatch.setenv(VARIABLE, "tensor=1k")
    with pytest.raises(ArtifactError, match="--limit tensor="):
        check_sizes(square_model(), tmp_path / "a.onnx")


def test_large_weights_are_weighed_and_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.parser.parse_model(f"{HEAD} {{ y = Add (x, w) }}")
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((3, 64, 64), np.float32), "w"))
    monkeypatch.setenv(VARIABLE, "tensor=49151")
    with pytest.raises(ArtifactError, match=r"too large: 'w': got 49152 bytes"):
        check_sizes(model, tmp_path / "a.onnx")
    monkeypatch.setenv(VARIABLE, "tensor=49152")
    check_sizes(model, tmp_path / "a.onnx")
